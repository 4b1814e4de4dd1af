"""How far a run is: a bar in a terminal, else a plain line now and then."""

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tqdm import tqdm

from dexbench.bench.ledger.rows import Row

TRIALS, SECONDS = 10, 60.0
"""Without a terminal a line comes after so many trials, or after so long."""


class Progress:
    """Counts the trials of a run and says on stderr how far it is."""

    def __init__(
        self,
        name: str,
        missing: int,
        played: Sequence[Row],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin.

        Args:
            name: What the bar is called.
            missing: Number of trials to play.
            played: Rows of the trials that were played before; they count as done.
            clock: Tells the time in s.
        """
        self.missing, self.before, self.now_played = missing, len(played), 0
        self.solved = sum(row["success"] for row in played)
        self.clock = clock
        self.start = self.last_line = clock()
        self.bar = tqdm(
            total=self.before + missing,
            initial=self.before,
            desc=name,
            unit="trial",
            # The time left from the mean over the whole run: workers finish in bursts, which a
            # moving average takes for a change of speed.
            smoothing=0,
            disable=None,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.close()

    def update(self, row: Row) -> None:
        """Count a trial that was just played."""
        self.now_played += 1
        self.solved += bool(row["success"])
        self.bar.set_postfix_str(f"{self.solved} solved", refresh=False)
        self.bar.update()
        now = self.clock()
        due = self.now_played % TRIALS == 0 or now - self.last_line >= SECONDS
        if self.bar.disable and due and self.now_played < self.missing:
            self.last_line = now
            print(self.line(now - self.start), file=sys.stderr, flush=True)

    def line(self, elapsed: float) -> str:
        """Say how many trials are done and solved, and how long the rest will take.

        Args:
            elapsed: Time since the start, s.
        """
        left = elapsed / self.now_played * (self.missing - self.now_played)
        duration = f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s"
        return (
            f"{self.before + self.now_played} of {self.before + self.missing} trials, "
            f"{self.solved} solved, about {duration} left"
        )
