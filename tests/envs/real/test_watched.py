import threading
import time
from typing import Any

import numpy as np
import pytest

from dexbench.envs.real.robot import Look
from dexbench.envs.real.watched import DriverError, SilentError, Watched


class Slow:
    """A driver, methods of which hang until it is let go, or at once when another is called."""

    rate = 10.0

    def __init__(self, *hangs: str, freed_by: str = "") -> None:
        self.hangs, self.freed_by, self.go = hangs, freed_by, threading.Event()
        self.called: list[str] = []
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        answers = {"joints": np.zeros(23), "time": 5, "look": (np.zeros((2, 2, 3), np.uint8), 4.5)}

        def call(*args: Any) -> Any:
            self.called.append(name)
            if name != "stop":
                self.threads.add(threading.get_ident())
            if name == self.freed_by:
                self.go.set()
            if name in self.hangs:
                self.go.wait(30)
            return answers.get(name)

        return call


def test_answers_come_back_from_one_thread() -> None:
    driver = Slow()
    watched = Watched(driver, 30.0)
    assert watched.rate == 10 and watched.time() == 5.0
    assert np.array_equal(watched.joints(), np.zeros(23))
    assert isinstance(watched.look(), Look) and watched.look().time == 4.5
    watched.command(np.ones(23))
    watched.wait(7.0)
    watched.stop()
    watched.close()
    assert driver.called == [
        *("time", "joints", "look", "look", "command", "time", "wait", "stop", "close")
    ]
    assert len(driver.threads) == 1 and threading.get_ident() not in driver.threads


@pytest.mark.parametrize("method", ["joints", "look", "command", "time", "wait"])
def test_a_call_that_hangs_is_noticed_and_the_robot_can_still_be_stopped_and_closed(
    method: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("dexbench.envs.real.watched.STOP", 1.0)
    driver = Slow(method)
    watched = Watched(driver, 1.0)
    arguments = {"command": (np.ones(23),), "wait": (0.0,)}
    began = time.monotonic()
    with pytest.raises(DriverError, match=f"the driver's {method} has not returned for 1 s"):
        getattr(watched, method)(*arguments.get(method, ()))
    assert time.monotonic() - began < 20
    before = list(driver.called)
    # Nothing else reaches a driver that has been silent, but stop and close do.
    with pytest.raises(DriverError, match=f"the driver's {method} has not returned"):
        watched.joints()
    watched.stop()
    watched.close()
    assert driver.called == [*before, "stop", "close"]
    assert len(driver.threads) == 2, "close waits for the call that hangs"
    driver.go.set()


def test_a_call_that_a_stop_ends_lets_the_driver_be_closed_from_the_same_thread() -> None:
    driver = Slow("look", freed_by="stop")
    watched = Watched(driver, 1.0)
    with pytest.raises(SilentError, match="the driver's look has not returned for 1 s"):
        watched.look()
    watched.stop()
    watched.close()
    assert driver.called == ["look", "stop", "close"] and len(driver.threads) == 1


def test_a_driver_that_does_not_close_is_left_behind(monkeypatch: Any) -> None:
    for limit in ("STOP", "CLOSE"):
        monkeypatch.setattr(f"dexbench.envs.real.watched.{limit}", 1.0)
    for driver in (Slow("close"), Slow("look", "close")):
        others = set(threading.enumerate())
        watched = Watched(driver, 0.5)
        if "look" in driver.hangs:
            with pytest.raises(SilentError):
                watched.look()
        with pytest.raises(SilentError, match="the driver's close has not returned for 1"):
            watched.close()
        left = set(threading.enumerate()) - others
        assert left and all(thread.daemon for thread in left), "the program could not end"
        driver.go.set()
        for thread in left:
            thread.join(20)
        assert not any(thread.is_alive() for thread in left)
        assert driver.called.count("close") == 1


def test_a_wait_may_take_until_its_time() -> None:
    driver = Slow("wait")
    watched = Watched(driver, 1.0)
    threading.Timer(2.0, driver.go.set).start()
    watched.wait(35.0)  # It is 5 s.


def test_a_stop_that_hangs_is_noticed(monkeypatch: Any) -> None:
    monkeypatch.setattr("dexbench.envs.real.watched.STOP", 1.0)
    driver = Slow("stop")
    watched = Watched(driver, 30.0)
    with pytest.raises(DriverError, match="the driver's stop has not returned for 1 s"):
        watched.stop()
    assert watched.time() == 5
    driver.go.set()


def test_what_a_driver_raises_is_told(monkeypatch: Any) -> None:
    driver = Slow()
    watched = Watched(driver, 30.0)

    def gone() -> None:
        raise ConnectionError("the controller is gone")

    driver.joints = gone
    with pytest.raises(DriverError, match="joints failed: ConnectionError: the controller is gone"):
        watched.joints()
    driver.joints = lambda: np.zeros(7)
    with pytest.raises(DriverError, match=r"joints \(7,\), expected \(23,\)"):
        watched.joints()
    driver.look = lambda: None
    with pytest.raises(DriverError, match="look failed: TypeError"):
        watched.look()
    # One that has raised is not silent.
    assert watched.time() == 5


def test_a_stopped_robot_is_sent_nothing_not_even_what_waited() -> None:
    driver = Slow("command", freed_by="stop")
    watched = Watched(driver, 30.0)
    came: list[str] = []

    def command() -> None:
        try:
            watched.command(np.ones(23))
        except DriverError as error:
            came.append(str(error))

    threads = [threading.Thread(target=command) for _ in range(2)]
    for thread in threads:
        thread.start()
        deadline = time.monotonic() + 30
        while "command" not in driver.called and time.monotonic() < deadline:
            time.sleep(0.01)
    time.sleep(0.1)  # The second one waits behind the first, which hangs.
    watched.stop()
    for thread in threads:
        thread.join(30)
    assert len(came) == 1 and "takes no targets" in came[0]
    with pytest.raises(DriverError, match="takes no targets"):
        watched.command(np.ones(23))
    watched.close()
    assert driver.called.count("command") == 1
