"""Files that one process at a time may have: what two would spoil if both wrote."""

import fcntl
import os
from pathlib import Path


def open_locked(path: Path) -> int:
    """Open a file for appending by this process alone, until it closes it or end.

    Raises:
        BlockingIOError: Another process has it.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have put a new file in its place before we had the lock.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
