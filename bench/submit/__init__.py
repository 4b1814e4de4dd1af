"""Results from outside: one file with an agent's rows and actions, and what proves them."""
