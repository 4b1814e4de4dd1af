"""Checks for agents and tasks of your own: plain functions that need no test framework.

They raise AssertionError with what is wrong and how to mend it::

    from dexbench.testing import check_agent, check_task

    check_agent("my_agent:Wave", task="reach")
    check_task("my_task:mine/Lift-v1")

or in a shell: ``python -m dexbench.testing agent my_agent:Wave``.
"""

import sys

from dexbench.bench.agent_check import check_agent
from dexbench.envs.task_check import check_task

__all__ = ["check_agent", "check_task"]


def main(words: list[str]) -> None:
    """Check what the command line names.

    Args:
        words: ``agent NAME`` or ``task ID``.

    Raises:
        SystemExit: With the reason, where something is wrong.
    """
    if len(words) != 2 or words[0] not in ("agent", "task"):
        sys.exit("usage: python -m dexbench.testing agent NAME | task ID")
    try:
        if words[0] == "agent":
            print(f"{words[1]}: {check_agent(words[1]):.3f} s/decision")
        else:
            check_task(words[1])
    except AssertionError as error:
        sys.exit(f"{words[1]}: {error}")
    print(f"{words[1]}: no fault found")


if __name__ == "__main__":
    main(sys.argv[1:])
