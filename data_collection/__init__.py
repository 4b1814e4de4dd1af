"""Collects exploration data by script: strategies, the recorder, and the episode store."""
