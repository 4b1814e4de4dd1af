"""Weights that ship with the package (safetensors)."""
