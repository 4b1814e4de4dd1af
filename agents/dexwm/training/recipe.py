"""Recipes: how batches are drawn and steps are taken, ours and the paper's (C.1)."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.agents.dexwm.model.config import LATER
from dexbench.agents.learning.footage import Footage, Places

PAPER_SPAN = 40
"""Most tenths of a second that a window of the paper's reaches back: 4 s."""
PAPER_STEPS = 8
"""Transitions of the paper's windows."""


@dataclass(frozen=True)
class TrainingRecipe:
    """What the trainer does in stages 2 and 3, and how its optimiser steps in all."""

    odds: tuple[float, ...] = (0.2, 0.2, 0.6)
    """How often a batch has 1, 2, ... transitions. Fewer leave room for longer gaps in short
    clips; a batch has so many more windows then that its transitions are as many."""
    span: int | None = None
    """Most tenths of a second that a window reaches back, its gaps then any that are left; None
    draws each gap by itself, see ``Footage.windows``."""
    later_starts: bool = True
    """Whether some roll-outs start from several true frames, as a planner's do after its first
    decision; otherwise all from one."""
    augmented: bool = True
    """Whether pictures are augmented."""
    rates: tuple[float, float, float] = (1e-3, 8e-4, 4e-4)
    """Peak learning rate of each stage."""
    warmup: float = 0.05
    """Share of a stage in which the rate rises."""
    floors: tuple[float, float, float] = (0.02, 0.02, 0.02)
    """Factor on each stage's rate at its end, where a cosine arrives."""
    decay: float = 0.02
    """Decoupled weight decay of matrices."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Adam's."""
    clip: float | None = 1.0
    """Largest global norm of the gradient; None leaves it as it is."""
    gaps: tuple[int, int] | None = field(default=None, metadata=LATER)
    """Shortest and longest gap of a window in frames of 0.1 s, see ``Episodes.windows``; None
    leaves them to ``span``, or 3 to 20."""

    def settings(self) -> dict[str, Any]:
        """Return the fields by name; ``LATER`` ones only where they differ from their default."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in dataclasses.fields(self)
            if entry.metadata != LATER or getattr(self, entry.name) != entry.default
        }

    def windows(
        self,
        footage: Footage,
        draw: np.random.Generator,
        clips: int,
        places: Callable[[int], Places] | None = None,
    ) -> NDArray[np.int64]:
        """Frame indices ``(B, F)`` of a batch's windows.

        Args:
            footage: The data.
            draw: The random stream.
            clips: Windows of a batch whose transitions are as many as can be.
            places: Returns where so many windows are; anywhere if left out.
        """
        longest = len(self.odds)
        steps = int(draw.choice(np.arange(longest) + 1, p=self.odds))
        count = max(clips * longest // steps, 1)
        where = None if places is None else places(count)
        return footage.windows(draw, count, steps, span=self.span, gaps=self.gaps, places=where)

    def sizes(self, clips: int) -> list[int]:
        """Return how many windows a batch may have."""
        longest = len(self.odds)
        return [max(clips * longest // n, 1) for n in range(1, longest + 1) if self.odds[n - 1] > 0]

    def history(self, draw: np.random.Generator, steps: int) -> int:
        """Return the true frames that a batch's roll-outs of ``steps`` transitions start from."""
        return int(draw.integers(1, steps + 1) ** draw.integers(0, 2)) if self.later_starts else 1


LONG = (0.1, 0.1, 0.3, 0.1, 0.1, 0.1, 0.2)
"""Odds of 1 to 7 transitions; a plan has up to three."""

RECIPES = {
    "compact": TrainingRecipe(),
    # Roll-outs at 5 Hz (openloop) and the planner's waypoints are both among what it sees.
    "fine": TrainingRecipe(odds=LONG, gaps=(1, 20)),
    # All gaps as in openloop, to see what uneven ones are worth.
    "even": TrainingRecipe(odds=LONG, gaps=(2, 2)),
    # Pre-training predicts all eight next frames from true ones; fine-tuning rolls out eight.
    "paper": TrainingRecipe(
        odds=(0.0,) * (PAPER_STEPS - 1) + (1.0,),
        span=PAPER_SPAN,
        later_starts=False,
        augmented=False,
        rates=(1e-3, 1e-4, 1e-5),
        warmup=0.0,
        floors=(0.02, 1e-3, 0.04),
        decay=0.0,
        betas=(0.9, 0.999),
        clip=None,
    ),
}
"""By the names that ``--recipe`` takes."""
