"""Signals as a program has them that was started at a terminal.

A shell starts what runs in its background with Ctrl-C ignored, and `nohup` with SIGHUP ignored.
"""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """What asks a program to end does so."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
