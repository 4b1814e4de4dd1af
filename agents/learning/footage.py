"""Pictures of many clips in one array, and the windows of frames that training draws from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError

GAPS = (3, 20)
"""Shortest and longest gap in tenths of a second; 20 is the planner's waypoint interval."""
WINDOW = 4
"""Most frames of a window: three transitions, as many as a plan has waypoints."""
PLANNER_SHARE = 0.3
"""Share of windows whose gaps are all the longest that fits."""

Places = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Where windows are: the clip of each ``(B,)``, and how far between the earliest and the latest
place in it, ``(B,)`` within 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """All frames of some clips, one clip after the other."""

    frames: NDArray[np.uint8]
    """``(N, 112, 196, 3)`` uint8, a read-only memory map."""
    first: NDArray[np.int64]
    """``(E,)`` index of each clip's first frame."""
    length: NDArray[np.int64]
    """``(E,)`` frames of each clip."""
    rate: NDArray[np.float64]
    """``(E,)`` frames a second of each clip."""
    validation: NDArray[np.bool_]
    """``(E,)`` whether the clip is held out from training."""
    digest: str
    """Names what the clips hold."""

    def frame_indices(self, validation: bool) -> NDArray[np.int64]:
        """Return indices ``(n,)`` of all frames of the training or the validation clips."""
        chosen = np.flatnonzero(self.validation == validation)
        return np.concatenate(
            [np.arange(self.first[e], self.first[e] + self.length[e]) for e in chosen]
        )

    def windows(
        self,
        generator: np.random.Generator,
        count: int,
        steps: int = WINDOW - 1,
        validation: bool = False,
        planner_share: float = PLANNER_SHARE,
        span: int | None = None,
        gaps: tuple[int, int] | None = None,
        places: Places | None = None,
    ) -> NDArray[np.int64]:
        """Draw windows of frames with uneven gaps (paper 3.2).

        Without ``span`` and ``gaps`` gaps are 0.3 to 2 s, and shrink together where they would not
        fit into the clip. A clip is drawn in proportion to its length, unless places are given.

        Args:
            generator: The random stream.
            count: Windows to draw.
            steps: Gaps of a window.
            validation: Whether from the held-out clips.
            planner_share: Share of windows whose gaps are all the longest that fits.
            span: If given, the frames of a window before its last are any of those so many tenths
                of a second before it (paper C.1), or of as many as the clip has.
            gaps: If given, the shortest and the longest gap in tenths of a second, between which
                each is drawn log-uniformly: short ones are as usual as long ones. They shrink
                likewise.
            places: Where the windows are.

        Returns:
            ``(count, steps + 1)`` frame indices.

        Raises:
            UserError: No clip is long enough.
        """
        place: NDArray[np.float64] | None = None
        if places is None:
            usable = self.usable(steps, span, gaps) & (self.validation == validation)
            chosen = np.flatnonzero(usable)
            if len(chosen) == 0:
                least = steps + 1 if span or gaps else WINDOW
                raise UserError(
                    f"no episode has the {least} frames of a window; collect longer ones"
                )
            odds = self.length[chosen] / self.length[chosen].sum()
            clip = generator.choice(chosen, count, p=odds)
        else:
            clip, place = places
        room = self.length[clip][:, None] - 1
        if span is not None:
            within = self._before_last(generator, clip, place, steps, span)
            frames: NDArray[np.int64] = self.first[clip][:, None] + within
            return frames
        tenths = (self.rate[clip] / 10)[:, None]
        if gaps is not None:
            ratio = (gaps[1] + 1) / gaps[0]
            skips = (gaps[0] * ratio ** generator.random((count, steps))).astype(int)
            skips = np.where(generator.random((count, 1)) < planner_share, gaps[1], skips)
            skips = np.maximum((skips * tenths).astype(int), 1)
            # Of what is over one frame a gap the clip has so much room.
            over = np.maximum(skips.sum(1, keepdims=True) - steps, 1)
            skips = 1 + ((skips - 1) * np.minimum((room - steps) / over, 1)).astype(int)
        else:
            skips = generator.integers(GAPS[0], GAPS[1] + 1, (count, steps))
            skips = np.where(generator.random((count, 1)) < planner_share, GAPS[1], skips)
            wanted = skips * tenths
            shrink = np.minimum(room / wanted.sum(1, keepdims=True), 1)
            skips = np.maximum((wanted * shrink).astype(int), 1)
            # In a clip of a few frames the least gaps may be one too many; the longest gives it.
            beyond = np.maximum(skips.sum(1) - room[:, 0], 0)
            skips[np.arange(count), skips.argmax(1)] -= beyond
        ways = room[:, 0] - skips.sum(1) + 1
        at = generator.integers(0, ways) if place is None else (place * ways).astype(int)
        offsets = np.concatenate([np.zeros((count, 1), int), skips.cumsum(1)], 1)
        spread: NDArray[np.int64] = (self.first[clip] + at)[:, None] + offsets
        return spread

    def usable(
        self, steps: int, span: int | None, gaps: tuple[int, int] | None = None
    ) -> NDArray[np.bool_]:
        """Return which clips ``(E,)`` have windows of so many gaps within so long a span."""
        if gaps is not None:
            return self.length > steps
        if span is None:
            return self.length >= WINDOW
        return (self.length > steps) & (self._reach(span) >= steps)

    def _reach(self, span: int) -> NDArray[np.int64]:
        """Return the frames ``(E,)`` of each clip in so many tenths of a second."""
        reach: NDArray[np.int64] = np.rint(span * self.rate / 10).astype(int)
        return reach

    def _before_last(
        self,
        generator: np.random.Generator,
        clip: NDArray[np.int64],
        place: NDArray[np.float64] | None,
        steps: int,
        span: int,
    ) -> NDArray[np.int64]:
        """Draw windows whose frames are any of those before their last; see ``windows``."""
        room, reach = self.length[clip] - 1, self._reach(span)[clip]
        within = np.minimum(reach, room)
        if place is not None:
            last = steps + (place * (room - steps + 1)).astype(int)
            within = np.minimum(reach, last)
        # The nearest keys of a random order name the frames; those out of reach are last.
        width = int(self._reach(span).max())
        keys = generator.random((len(clip), width)) + (np.arange(width) >= within[:, None])
        back = np.sort(keys.argsort(1)[:, :steps] + 1, axis=1)[:, ::-1]
        if place is None:
            last = generator.integers(back[:, 0], room + 1)
        frames: NDArray[np.int64] = last[:, None] - np.pad(back, ((0, 0), (0, 1)))
        return frames
