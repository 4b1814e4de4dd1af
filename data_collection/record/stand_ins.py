"""The strategies that stand in for other people's data, by what records a session of theirs."""

from collections.abc import Callable
from typing import Any

from dexbench.data_collection.scripted.order import SessionOrder

Record = Callable[[SessionOrder], list[dict[str, Any]]]
"""Writes a session's clips and returns their manifest lines."""


def stand_in(strategy: str) -> Record:
    """Return what records a session of ``egohand`` or ``gripper``.

    Raises:
        LookupError: There is no such strategy.
    """
    from dexbench.data_collection.gripper.record import record_session as gripper
    from dexbench.data_collection.human.record import record_session as egohand

    return {"egohand": egohand, "gripper": gripper}[strategy]
