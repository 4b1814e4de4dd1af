"""The command line, the runner of trials, their ledgers and the leaderboard."""
