"""The synthetic set of a robot arm with a parallel gripper seen from outside, in DROID's format."""
