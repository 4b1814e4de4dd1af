"""Simulating recorded actions again."""
