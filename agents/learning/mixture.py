"""Draws from several data sets by their shares, and evenly from each one's clips."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng

from .clips import Clips
from .footage import Places

SEGMENTS = 10
"""Equal segments of a clip, each of which gives the place of one window an epoch (paper C.1)."""


class Mixture:
    """Several sets, of which each has its share of every batch.

    An epoch of a set has ten windows of every clip, in equal segments of it, in a random order. A
    batch is a function of its number alone, so that a training can go on anywhere: each has room
    for as many windows of a set as it may draw, and what it does not draw, that epoch leaves out.

    Args:
        clips: The data.
        shares: Of a batch's windows, one number a set, of any sum; as many as clips if left out, so
            that all sets' epochs are equally long.
        most: Most windows of a batch.
        usable: ``(E,)`` which clips are long enough.
        name: What tells the draws from other mixtures', such as the training's seed.

    Raises:
        UserError: The shares do not fit the sets, or a set has no clip that is long enough.
    """

    def __init__(
        self,
        clips: Clips,
        shares: Sequence[float] | None,
        most: int,
        usable: NDArray[np.bool_],
        *name: int | str,
    ):
        self._clips, self._name = clips, name
        sets = range(int(clips.source.max()) + 1)
        training = usable & ~clips.validation
        self._members = [np.flatnonzero(training & (clips.source == number)) for number in sets]
        if empty := [number for number in sets if not len(self._members[number])]:
            raise UserError(
                f"no clip of data set {empty[0] + 1} has the frames of a window; record longer ones"
            )
        weights = np.array(shares or [len(members) for members in self._members], float)
        if len(weights) != len(sets) or not (weights > 0).all() or not np.isfinite(weights).all():
            raise UserError(
                f"--data-shares are {list(weights)}, expected one above 0 for each of "
                f"{len(sets)} data sets"
            )
        self.shares: NDArray[np.float64] = weights / weights.sum()
        """Of each set."""
        self._slots = [math.ceil(most * share) + 1 for share in self.shares]
        self._epochs: dict[int, tuple[int, Places]] = {}

    def places(self, generator: np.random.Generator, batch: int, count: int) -> Places:
        """Return where a batch's windows are, set by set.

        Args:
            generator: The batch's random stream; it rounds the shares up or down.
            batch: The batch's number.
            count: Its windows.
        """
        found = [
            self._take(number, batch * self._slots[number], part)
            for number, part in enumerate(self._parts(generator, count))
        ]
        clip, place = (np.concatenate(values) for values in zip(*found, strict=True))
        return clip, place

    def frames(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Draw single frames ``(count,)``, set by set."""
        drawn = []
        for members, part in zip(self._members, self._parts(generator, count), strict=True):
            length = self._clips.length[members]
            clip = generator.choice(members, part, p=length / length.sum())
            drawn.append(self._clips.first[clip] + generator.integers(0, self._clips.length[clip]))
        return np.concatenate(drawn)

    def _parts(self, generator: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Split a batch by the shares, rounded so that their mean over batches is exact."""
        bounds = np.floor(count * self.shares.cumsum()[:-1] + generator.random()).astype(np.int64)
        return np.diff(np.concatenate([[0], bounds, [count]]))

    def _take(self, number: int, start: int, count: int) -> Places:
        """Return the windows of a set from the ``start``-th on."""
        size = SEGMENTS * len(self._members[number])
        at = start + np.arange(count)
        clips, places = [], []
        for epoch in np.unique(at // size):
            clip, place = self._epoch(number, int(epoch))
            chosen = at[at // size == epoch] % size
            clips.append(clip[chosen])
            places.append(place[chosen])
        if not clips:
            return np.zeros(0, np.int64), np.zeros(0)
        return np.concatenate(clips), np.concatenate(places)

    def _epoch(self, number: int, epoch: int) -> Places:
        """Return all windows of an epoch of a set, in their order."""
        known = self._epochs.get(number)
        if known is None or known[0] != epoch:
            members = self._members[number]
            draw = rng("mixture", *self._name, number, epoch)
            within = (np.arange(SEGMENTS) + draw.random((len(members), SEGMENTS))) / SEGMENTS
            order = draw.permutation(within.size)
            places = np.repeat(members, SEGMENTS)[order], within.reshape(-1)[order]
            self._epochs[number] = known = (epoch, places)
        return known[1]
