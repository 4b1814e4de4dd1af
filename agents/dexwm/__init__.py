"""DexWM: a latent world model of dexterous manipulation, its training and its planner."""
