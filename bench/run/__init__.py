"""Playing trials: the runner, its workers, and one trial."""
