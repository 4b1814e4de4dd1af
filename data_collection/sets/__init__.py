"""Commands on episode sets: look, merge, shrink, render again."""
