"""What lies on a counter while somebody works there, and where there is room."""

import math
from dataclasses import dataclass

import numpy as np

from dexbench.envs.scenes.layouts import COUNTER_HEIGHT

from .objects import Solid
from .poses import Array, pose, turns

NEAR, FAR = -0.575, -0.32
"""Range of objects' centres across the counter: the world's y, in m."""
ASIDE = 0.40
"""How far to both sides of who stands there objects lie, in m."""
FREE = (-0.27, 0.60)
"""Range of the world's x, in m, in which no kitchen has anything on or in its counter."""


def reach(stand: tuple[float, float], side: str | None = None) -> tuple[float, float]:
    """Return the range of x in m that a hand works in, or both do, before who stands at (x, y)."""
    low = {"left": -ASIDE, "right": -0.08, None: -ASIDE}[side]
    high = {"left": 0.08, "right": ASIDE, None: ASIDE}[side]
    return max(FREE[0], stand[0] + low), min(FREE[1], stand[0] + high)


def lay_out(
    stand: tuple[float, float], solids: list[Solid], rng: np.random.Generator
) -> list[Array]:
    """Return places (4, 4) on the counter for objects before who stands at (x, y), all apart."""
    left, right = reach(stand)
    while True:
        places: list[Array] = []
        for solid in solids:
            for _ in range(60):
                x = rng.uniform(left, right)
                y = rng.uniform(NEAR, FAR)
                gaps = [
                    math.dist((x, y), place[:2, 3]) - solid.radius - other.radius
                    for other, place in zip(solids, places, strict=False)
                ]
                if min(gaps, default=1) > 0.035:
                    turn = turns("z", rng.uniform(-np.pi, np.pi))
                    places.append(pose(turn, np.array([x, y, COUNTER_HEIGHT - solid.low[2]])))
                    break
        if len(places) == len(solids):
            return places


@dataclass
class Counter:
    """Objects on a counter.

    Args:
        stand: Where in RoboCasa's world (x, y), in m, somebody or something stands before it.
        solids: Shapes of the objects.
        places: Transforms (4, 4) of the objects in the world at the start.
        rng: The stream to draw from.
    """

    stand: tuple[float, float]
    solids: list[Solid]
    places: list[Array]
    rng: np.random.Generator

    def side_of(self, thing: int) -> str:
        """Return the hand that is nearer to an object."""
        offset = self.places[thing][0, 3] - self.stand[0] + self.rng.normal(0, 0.05)
        return "right" if offset > 0 else "left"

    def spot(self, thing: int, side: str | None = None) -> Array | None:
        """Return another free place (4, 4) on the counter for an object, None if none is."""
        solid, here = self.solids[thing], self.places[thing]
        left, right = reach(self.stand, side)
        for _ in range(60):
            x, y = self.rng.uniform(left, right), self.rng.uniform(NEAR, FAR)
            far = np.hypot(x - here[0, 3], y - here[1, 3])
            if 0.09 < far < 0.42 and self._free(thing, x, y):
                turn = turns("z", self.rng.normal(0, 0.35)) @ here[:3, :3]
                return pose(turn, np.array([x, y, COUNTER_HEIGHT - solid.low[2]]))
        return None

    def slack(self, thing: int, way: Array) -> float:
        """Return how far, in m, an object can be pushed along ``way`` (3,) on the free counter."""
        here, step = self.places[thing][:2, 3], 0.02
        left, right = reach(self.stand)
        for far in np.arange(step, 0.4, step):
            x, y = here + far * way[:2]
            inside = left < x < right and NEAR - 0.02 < y < FAR + 0.02
            if not inside or not self._free(thing, x, y):
                return float(far - step)
        return 0.4

    def _free(self, thing: int, x: float, y: float) -> bool:
        room = self.solids[thing].radius + 0.025
        return all(
            np.hypot(x - place[0, 3], y - place[1, 3]) > room + solid.radius
            for other, (solid, place) in enumerate(zip(self.solids, self.places, strict=True))
            if other != thing
        )
