"""How far long work is: a bar in a terminal, and elsewhere a plain line now and then."""

import io
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

EVERY = 60.0
"""Seconds from one line to the next where there is no terminal."""
LINE = "{desc}: {n_fmt} of {total_fmt}, about {remaining} left"


def track(
    items: Iterable[Any] | None = None,
    label: str = "",
    total: int | None = None,
    *,
    unit: str = "step",
    show: bool = True,
) -> Any:
    """Return a `tqdm` over some items, or one to be updated by hand.

    Args:
        items: What is worked on.
        label: What the work is called.
        total: How many items there are, if their length does not say so.
        unit: What an item is called.
        show: Whether anything is shown.
    """
    if not show or sys.stderr.isatty():
        return tqdm(items, label, total, unit=unit, disable=not show)
    return tqdm(
        items,
        label or "progress",
        total,
        unit=unit,
        file=_Lines(),
        leave=False,
        delay=EVERY,
        mininterval=EVERY,
        miniters=1,
        bar_format=LINE,
    )


class _Lines(io.StringIO):
    """Prints what a bar would write over its last line as a line of its own, on stderr."""

    def write(self, text: str) -> int:
        """Print the text, if there is any, and return its length."""
        if line := text.strip():
            print(line, file=sys.stderr, flush=True)
        return len(text)
