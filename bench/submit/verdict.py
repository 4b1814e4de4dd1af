"""What came of one thing that a submission is checked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN = 20
"""Faults that are listed of each check."""


@dataclass(frozen=True)
class Verdict:
    """One check of a file."""

    what: str
    """The check's name."""
    found: str
    """What it looked at."""
    faults: list[str] = field(default_factory=list)
    """Why the file is refused; each names the row. Empty if all is well."""

    def lines(self) -> list[str]:
        """Return a line for people, or one for each of the first faults."""
        if not self.faults:
            return [f"{self.what:<10}  well     {self.found}"]
        more = len(self.faults) - SHOWN
        shown = [*self.faults[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        return [f"{self.what:<10}  refused  {fault}" for fault in shown]


def well(verdicts: Iterable[Verdict]) -> bool:
    """Return whether nothing is refused."""
    return not any(verdict.faults for verdict in verdicts)
