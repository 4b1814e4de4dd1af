"""Planning shared by every waypoint agent: CEM, joint-space ramps, the receding horizon."""
