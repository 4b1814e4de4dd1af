"""The robot: two Franka arms on a mobile base (TMR) with two Allegro hands.

Importing this package is cheap: tables of numbers only, no simulator and no torch.
"""
