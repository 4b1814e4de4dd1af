"""Requests to end: Ctrl-C, a closed terminal, SIGTERM; answered in order, or after a moment."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a program to end."""


@contextmanager
def handled(numbers: tuple[signal.Signals, ...], handler: Callable[..., Any]) -> Iterator[None]:
    """Answer signals by a handler of ours; one that the process ignores stays ignored.

    Only the main thread can: elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let requests to end wait until something is written; the first then has its effect."""
    came: list[int] = []
    with handled(ENDS, lambda number, frame: came.append(number)):
        yield
    if came:
        signal.raise_signal(came[0])
