"""What ledgers say: scores, intervals, tests, ranks, the leaderboard."""
