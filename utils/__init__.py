"""What everything stands on and nothing of dexbench is in."""
