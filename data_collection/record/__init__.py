"""Recording exploration by script."""
