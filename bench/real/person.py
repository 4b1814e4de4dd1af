"""What is asked of the person beside the robot, on the terminal."""

import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SUCCESS = {
    "reach": "is the hand where the goal shows it",
    "grasp": "App. C.5: is the object held securely in the hand",
    "place": "does the object lie where the goal shows it, out of the hand",
    "push": "does the object lie where the goal shows it",
    "pick": "does the hand hold the object where the goal shows it",
    "carry": "does the object lie where the goal shows it",
    "avoid": "is the hand where the goal shows it, and has no object moved",
}
"""What is asked of each task; of others, whether all is as the goal shows it."""
Ask = Callable[[str], str]
"""Shows a question and returns the line that was typed."""


def at_terminal(question: str) -> str:
    """Ask on the terminal; what was typed before the question is no answer to it."""
    if sys.stdin.isatty():
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
    return input(question)


class Person:
    """Whoever watches: sets trials up, lets the robot move or not, and judges.

    Args:
        ask: How to ask; by default on the terminal.
    """

    def __init__(self, ask: Ask = at_terminal):
        self._answer = ask

    def sets_up(self, name: str, goal: str, stopped: bool) -> None:
        """Wait until the scene is ready.

        Args:
            name: Of the trial.
            goal: Name of its picture.
            stopped: Whether the robot was stopped before, so that it must be let go.
        """
        first = "free the robot, and " if stopped else ""
        self._ask(
            f"{name}, goal {goal}: {first}put the robot and the object where the trial begins. "
            "Then press Enter (Ctrl-C ends). "
        )

    def allows(self, sheet: Path) -> bool:
        """Ask whether the robot may move as planned.

        Args:
            sheet: The picture that shows the plan.
        """
        return self._yes(f"The plan is in {sheet}. Keep a hand on the emergency stop. Move?")

    def judges(self, task: str) -> bool:
        """Ask whether a trial of a task was a success."""
        return self._yes(f"Success ({SUCCESS.get(task, 'is all as the goal shows it')})?")

    def notes(self) -> str:
        """Ask for a note on the trial; it may be empty."""
        return self._ask("Note (Enter for none): ").strip()

    def tell(self, text: str) -> None:
        """Say something that needs no answer, if the terminal is still there."""
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)

    def _ask(self, question: str) -> str:
        """Return what is typed; who closes the terminal ends as with Ctrl-C."""
        try:
            return self._answer(question)
        except EOFError:
            raise KeyboardInterrupt from None

    def _yes(self, question: str) -> bool:
        while True:
            answer = self._ask(f"{question} [y/n] ").strip().lower()
            if answer in ("y", "yes"):
                return True
            if answer in ("n", "no"):
                return False
