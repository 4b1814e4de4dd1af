"""Hands over time: smooth moves from posture to posture, their tremor, and what they hold."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from dexbench.envs.embodiment.robot import CONTROL_HZ

from .poses import Array


def minimum_jerk(share: Array) -> Array:
    """Return how far a move of minimum jerk has come, 0..1, for shares of its time."""
    s = np.clip(share, 0, 1)
    return np.asarray(s * s * s * (10 - 15 * s + 6 * s * s))


@dataclass(frozen=True)
class _Step:
    start: float
    end: float
    goal: Array
    arc: Array


@dataclass
class Track:
    """A wrist's transforms or fingers' angles over time, as a sum of moves of minimum jerk.

    A move may begin before the one before it ends: they add up, as people's do (Flash, Henis 1991).
    """

    first: Array
    """Transform (4, 4) or angles (20,) at the start."""
    steps: list[_Step] = field(default_factory=list)
    """Moves in order of time."""

    @property
    def last(self) -> Array:
        """Where the last move ends."""
        return self.steps[-1].goal if self.steps else self.first

    def move(self, start: float, end: float, goal: Array, arc: Array | None = None) -> None:
        """Go to ``goal`` between two times in s; ``arc`` (3,) in m is added half-way."""
        bow = np.zeros(3) if arc is None else np.asarray(arc, float)
        self.steps.append(_Step(start, max(end, start + 0.05), goal, bow))

    def sample(self, times: Array) -> Array:
        """Return transforms (n, 4, 4) or angles (n, 20) at times (n,) in s."""
        result = np.repeat(self.first[None], len(times), axis=0)
        here = self.first
        for step in self.steps:
            share = minimum_jerk((times - step.start) / (step.end - step.start))
            if self.first.ndim == 1:
                result += share[:, None] * (step.goal - here)
            else:
                turn = Rotation.from_matrix(here[:3, :3].T @ step.goal[:3, :3]).as_rotvec()
                partly = Rotation.from_rotvec(share[:, None] * turn).as_matrix()
                result[:, :3, :3] = result[:, :3, :3] @ partly
                result[:, :3, 3] += share[:, None] * (step.goal[:3, 3] - here[:3, 3])
                result[:, :3, 3] += (4 * share * (1 - share))[:, None] * step.arc
            here = step.goal
        return result


@dataclass(frozen=True)
class Hold:
    """An object goes with a hand for some time."""

    thing: int
    """Number of the object."""
    side: str
    """Whose hand."""
    start: float
    """From when, in s."""
    end: float
    """Until when, in s."""
    rest: Array
    """Transform (4, 4) of the object when it has been let go."""


def drift(rng: np.random.Generator, n: int, size: int, seconds: float) -> Array:
    """Return smooth noise (n, size) of standard deviation 1 that forgets within ``seconds``."""
    sigma = seconds * CONTROL_HZ
    margin = int(4 * sigma) + 1
    white = rng.standard_normal((n + 2 * margin, size))
    smooth = gaussian_filter1d(white, sigma, axis=0, mode="constant")[margin : margin + n]
    return np.asarray(smooth * np.sqrt(2 * np.sqrt(np.pi) * sigma))


def quiet(times: Array, spans: list[tuple[float, float]], ease: float = 0.35) -> Array:
    """Return factors (n,) on a hand's noise: none within spans of time in s, all of it far away."""
    factor = np.ones(len(times))
    for start, end in spans:
        gap = np.maximum(0, np.maximum(start - times, times - end))
        factor *= 1 - np.exp(-((gap / ease) ** 2))
    return factor
