"""Motion: inverse kinematics, grasp planning and the scripted expert.

It builds trials and collects data. What takes a simulation is privileged, and no scored agent uses
it; inverse kinematics of the robot alone and a grasp of given points are not.
"""
