"""Trials of a real robot: look, plan, ask, move, judge."""
