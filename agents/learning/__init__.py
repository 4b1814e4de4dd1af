"""What every learned agent's training shares: episodes, run folders, weights, optimisers."""
