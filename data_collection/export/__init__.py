"""Writes episode sets in the formats of other projects."""
