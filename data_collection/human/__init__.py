"""The synthetic egocentric set: two human hands at kitchen counters, in EgoDex's own format."""
