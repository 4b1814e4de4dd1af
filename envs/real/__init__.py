"""The road to a real robot: its driver's protocol, calibration, limits, and a driver to try it on.

No vendor's library is imported here: a driver is a class of your own, named as agents are.
"""
