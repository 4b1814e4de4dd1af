"""Open-loop evaluation: what a world model predicts of recorded clips."""
