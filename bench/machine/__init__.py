"""What this machine can do: `dexbench doctor`."""
