"""Reference agents: floors, ceilings and baselines of the benchmark."""
