import os
import signal
import time

import numpy as np
import pytest

from dexbench.envs.real.judge import Judge
from dexbench.envs.real.limits import Limits
from dexbench.envs.real.playback import play
from dexbench.envs.real.robot import Robot, load_driver
from dexbench.envs.real.simulated import SimulatedRobot
from dexbench.envs.real.watched import SilentError, Watched
from dexbench.utils.errors import UserError

FEW = {"trials": (2, 10), "camera_rate": 5.0}


@pytest.mark.slow
def test_a_robot_in_real_time() -> None:
    robot = load_driver("simulated", FEW)
    assert isinstance(robot, SimulatedRobot) and isinstance(robot, Robot | Judge)
    limits = Limits(picture_age=5.0, answer=5.0)
    watched = Watched(robot, limits.answer)
    try:
        began, clock = time.monotonic(), robot.time()
        targets = np.repeat(watched.joints()[None], 5, axis=0)
        targets[:, 0] += np.linspace(0.02, 0.1, 5)
        played = play(watched, targets, limits)
        assert played.reason is None
        # Its clock is the world's, and goes on while nobody asks.
        assert robot.time() - clock == pytest.approx(time.monotonic() - began, abs=0.05)
        assert played.times[-1] - played.times[0] >= 0.9
        robot.wait(robot.time() + 1)
        assert np.abs(watched.joints() - targets[-1])[:7].max() < 0.01
        assert robot.time() - watched.look().time < 2
        assert robot.goal().shape == (224, 392, 3) and not robot.verdict().success
        robot.stop()
        assert "takes no targets" in (play(watched, targets, limits).reason or "")
        robot.set_up(1)
        watched.leave()  # It goes on sending nothing.
        watched = Watched(robot, limits.answer)
        assert robot.time() - watched.look().time < 2
        targets += watched.joints() - targets[0]
        assert play(watched, targets, limits).reason is None
        with pytest.raises(UserError, match="has 2 trials; asked for 2"):
            robot.set_up(2)
        # It hangs: the arm, in its process, holds as it is; nobody waits for ever.
        pid = robot.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        reason = play(Watched(robot, 1.0), targets, limits).reason or ""
        assert "has not returned for 1 s" in reason and reason.endswith("PRESS THE EMERGENCY STOP")
        assert time.monotonic() - began < 20
        # A driver that hangs is closed all the same: its process would hold up the program's end.
        silent = Watched(robot, 1.0)
        with pytest.raises(SilentError):
            silent.joints()
        silent.close()
        assert robot.process.exitcode == -9
        reason = play(robot, targets, limits).reason or ""
        assert "its process has ended, exit code -9" in reason
    finally:
        robot.close()
    assert robot.process.exitcode == -9


def test_settings_that_cannot_be_are_refused_at_once() -> None:
    with pytest.raises(UserError, match="no suite 'v9'"):
        load_driver("simulated", {"suite": "v9"})
