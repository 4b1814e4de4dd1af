"""Processes that do not outlive the one that started them, nor leave children behind."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess

PR_SET_PDEATHSIG = 1
"""From Linux' prctl.h."""
GRACE = 3.0
"""Longest time that a process has to end by itself [s]."""


def lead_group() -> None:
    """Make this process and the children that it will have a group, which ends as one.

    A terminal's Ctrl-C does not reach them then: whoever started this process ends them. When it is
    asked to end, by SIGTERM, it leaves as by `sys.exit`, so that its exit functions run.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, frame: object) -> None:
    ignore_requests()
    raise SystemExit(128 + number)


def ignore_requests() -> None:
    """Let no second request to end disturb the exit functions of a process that ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_groups(processes: Iterable[BaseProcess]) -> None:
    """End processes that lead groups: ask them, wait for `GRACE`, then kill them with their groups.

    Args:
        processes: Of `multiprocessing`. One that is known to be dead is left alone, since another
            process may have its number.
    """
    living = [process for process in processes if process.exitcode is None]
    try:
        for process in living:
            process.terminate()
        deadline = time.monotonic() + GRACE
        for process in living:
            process.join(max(0, deadline - time.monotonic()))
    finally:  # Also after a second Ctrl-C.
        for process in living:
            process.kill()
            kill_group(process)
        for process in living:
            process.join(10)  # One that hangs in a driver cannot even be killed.


def kill_group(process: BaseProcess) -> None:
    """Kill what is left of a process's group; right after its death, while the number is its own.

    Args:
        process: Of `multiprocessing`; it has called `lead_group`, or not got there.
    """
    assert process.pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def die_with_parent() -> None:
    """Have this process, which `multiprocessing` started, end when its parent does, even by a kill.

    Linux ends it even in native code that never returns, and when the thread ends that started it,
    so let that be the main one; elsewhere a thread of its own ends it, when it gets its turn.
    """
    parent = parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:  # It was dead before we asked.
            os._exit(1)
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
