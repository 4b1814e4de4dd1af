"""Processes that do not outlive the one that started them."""

import ctypes
import os
import signal
import sys
import threading
from multiprocessing import parent_process

PR_SET_PDEATHSIG = 1
"""From Linux' prctl.h."""


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
