"""MuJoCo's viewer: a play in a window, from any side."""

import os
import sys
import time
import warnings

from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.utils.errors import UserError

from .film import Play


def show(play: Play) -> None:
    """Play a trial in real time until it is over and the window is closed.

    Raises:
        UserError: There is no screen, or the viewer cannot be opened on it.
    """
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform == "linux" and not any(os.environ.get(name) for name in screens):
        raise UserError("--window needs a screen and there is none; --out FILE.mp4 makes a video")
    import glfw
    import mujoco.viewer

    with warnings.catch_warnings(record=True) as complaints:  # MuJoCo would end the process.
        warnings.simplefilter("always")
        if not glfw.init():
            why = "; ".join(str(complaint.message) for complaint in complaints)
            raise UserError(f"--window finds no screen ({why}); --out FILE.mp4 makes a video")
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Playback, find_task

    simulation = Simulation(play.trial.xml, play.trial.objects)
    playback = Playback(find_task(play.task), play.trial, simulation)
    try:
        opened = mujoco.viewer.launch_passive(
            simulation.model, simulation.data, show_left_ui=False, show_right_ui=False
        )
    except RuntimeError as error:  # As on macOS, where MuJoCo's own launcher must run Python.
        raise UserError(f"MuJoCo's viewer cannot be opened: {error}") from error
    with opened as window:
        with window.lock():
            window.opt.geomgroup[:] = 0  # Collision shapes
            window.opt.geomgroup[1] = 1  # and what is seen.
            window.cam.lookat[:] = simulation.to_world(simulation.keypoints).mean(axis=0)
            window.cam.distance, window.cam.elevation = 1.5, -25
            playback.restart()  # The viewer calls mj_forward, which spoils the solver's warm start.
        for action in play.actions:
            until = time.monotonic() + 1 / CONTROL_HZ
            if not window.is_running():
                return
            with window.lock():
                playback.step(action)
            window.sync()
            time.sleep(max(0, until - time.monotonic()))
        print(f"{play.title}: over; close the window to go on")
        while window.is_running():
            time.sleep(0.1)
