"""Privileged motion: inverse kinematics, grasp planning and the scripted expert.

It builds trials and collects data; no scored agent uses it.
"""
