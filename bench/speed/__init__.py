"""What control and planning cost."""
