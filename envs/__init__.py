"""Scenes, the robot, the tasks, and the Gymnasium environments made of them."""
