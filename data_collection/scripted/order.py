"""What a session of an animated set is asked for by."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SessionOrder:
    """A session to record: a few clips in one kitchen, which depend on seed and number alone."""

    out: Path
    """The set's folder."""
    seed: int
    """Names the set's random streams."""
    index: int
    """The session's number in the set."""
    size: tuple[int, int]
    """Height and width of the pictures in px."""
    clips: int
    """How many it has."""

    def clip(self, number: int) -> int:
        """Return the number in the set of the session's clip ``number``."""
        return self.index * self.clips + number
