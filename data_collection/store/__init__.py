"""The episode store: episodes on disk, their states, and the check of a set."""
