"""Training a DexWM from episode sets."""
