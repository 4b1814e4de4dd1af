"""Building suites of frozen trials."""
