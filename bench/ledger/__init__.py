"""The record of runs: one row a trial."""
