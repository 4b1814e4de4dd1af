"""What a planner expected, and what came of it."""
