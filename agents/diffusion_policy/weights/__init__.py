"""Packaged weights; README.md is their model card."""
