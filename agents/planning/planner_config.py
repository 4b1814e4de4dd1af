"""Settings of the waypoint planner, and the named ones that ``--planner`` takes."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dexbench.envs.motion.waypoints import RampConfig

from .cem import CEMConfig, cem
from .gradient import GradientConfig, gradient
from .mppi import MPPIConfig, mppi
from .optimiser import Plan, Problem

Config = TypeVar("Config")

HORIZON = 3
"""Waypoints of an episode, T in the paper."""

OPTIMISERS: dict[str, Callable[[Problem, Any], Plan]] = {
    "cem": cem,
    "mppi": mppi,
    "gradient": gradient,
}
"""Each takes the field of ``PlannerConfig`` of its own name."""


@dataclass(frozen=True)
class PlannerConfig:
    """All settings of the planner."""

    optimiser: str = "cem"
    """A name in ``OPTIMISERS``."""
    cem: CEMConfig = CEMConfig()
    """Budget of the cross-entropy method."""
    mppi: MPPIConfig = MPPIConfig()
    """That of model predictive path integral control."""
    gradient: GradientConfig = GradientConfig()
    """That of gradient descent."""
    horizon: int = HORIZON
    """Most waypoints of a plan, T in the paper."""
    open_loop: bool = False
    """Whether all waypoints of a plan are played, and the last one held to the end, instead of
    looking and planning again after the first."""
    warm_start: CEMConfig | None = None
    """Budget of a search by forward kinematics alone for the goal's hand, which costs next to
    nothing, and whose plan the optimiser then begins at; None begins as the paper."""
    narrow: float = 1.0
    """Factor on the initial standard deviations after a warm start."""
    step_weights: tuple[float, ...] = (0.184, 0.306, 0.510)
    """Weight of the cost at each of three waypoints; a shorter horizon takes the last ones. The
    paper costs the last step only."""
    execute: str = "mean"
    """What is played: "mean" plays the mean of the last elites, "best" the cheapest candidate."""
    arm_std: float = 0.3
    """Initial standard deviation of the arm joints in rad."""
    hand_std: float = 0.1
    """That of the finger joints in rad."""
    place_hand_std: float = 0.01
    """That of the finger joints in place and carry, which must keep their grip."""
    tile: int = 64
    """Candidates evaluated at a time."""
    ramp: RampConfig = field(default_factory=RampConfig)
    """How a waypoint becomes joint targets."""

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}; known: {sorted(OPTIMISERS)}")
        if not 1 <= self.horizon <= HORIZON:
            raise ValueError(f"horizon must be within 1..{HORIZON}, got {self.horizon}")
        if len(self.step_weights) != HORIZON or self.step_weights[-1] <= 0:
            raise ValueError(
                f"step_weights needs {HORIZON} numbers, the last above 0; got {self.step_weights}"
            )
        if self.execute not in ("mean", "best"):
            raise ValueError(f"execute must be 'mean' or 'best', got {self.execute!r}")
        if self.tile < 1 or min(self.arm_std, self.hand_std, self.place_hand_std) < 0:
            raise ValueError(
                "tile must be 1 or more and deviations 0 or more, got "
                f"{self.tile}, {self.arm_std}, {self.hand_std} and {self.place_hand_std}"
            )
        if not isinstance(self.warm_start, CEMConfig | None) or not self.narrow > 0:
            raise ValueError(
                "warm_start must be a CEMConfig, a dict or None and narrow above 0, got "
                f"{self.warm_start!r} and {self.narrow}"
            )
        for name, kind in (("cem", CEMConfig), ("mppi", MPPIConfig), ("gradient", GradientConfig)):
            if not isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"{name} must be a {kind.__name__} or a dict, got {getattr(self, name)!r}"
                )


PAPER = PlannerConfig(
    cem=CEMConfig(samples=512, elites=10, iterations=10),
    step_weights=(0.0, 0.0, 1.0),
    execute="best",
)
PLANNERS = {
    "cem": PlannerConfig(),
    "warm": PlannerConfig(
        cem=CEMConfig(samples=64, elites=10, iterations=3),
        warm_start=CEMConfig(samples=128, elites=10, iterations=20),
        narrow=0.3,
    ),
    "paper": PAPER,
    "paper-real": dataclasses.replace(
        PAPER, cem=CEMConfig(samples=256, elites=10, iterations=10), horizon=2, open_loop=True
    ),
    "mppi": PlannerConfig(optimiser="mppi"),
    "cem-32": PlannerConfig(
        cem=CEMConfig(samples=32, elites=5, iterations=6), execute="best", tile=32
    ),
    # A tile is filled up before it is evaluated, so it is no larger than the restarts are many.
    "gradient": PlannerConfig(optimiser="gradient", tile=8),
}
"""``cem`` is the paper's planner at a CPU's budget, and ``mppi`` and ``gradient`` are ``cem`` with
another optimiser. ``warm`` begins where forward kinematics ends, in agents that know the goal's
hand. ``paper`` is {T, N, K, L} = {3, 512, 10, 10}, last-step cost; ``paper-real`` is what the real
robot had, {2, 256, 10, 10} in open loop (App. B). ``cem-32`` is ``oracle``'s, whose every candidate
is simulated. docs/planners.md compares them."""


def planner_config(planner: str | PlannerConfig, **overrides: Any) -> PlannerConfig:
    """Return the settings of a planner.

    Args:
        planner: A name in ``PLANNERS`` or a configuration.
        **overrides: Fields to change, such as ``execute="best"``; of a budget also a dict of what
            differs from the planner's, such as ``cem={"samples": 256}``.

    Raises:
        ValueError: The planner's name is unknown or a setting is out of range.
    """
    if isinstance(planner, str):
        if planner not in PLANNERS:
            raise ValueError(f"unknown planner {planner!r}; known: {sorted(PLANNERS)}")
        planner = PLANNERS[planner]
    for name in overrides.keys() & {*OPTIMISERS, "warm_start"}:
        if isinstance(overrides[name], dict):
            budget = getattr(planner, name) or CEMConfig()
            overrides[name] = dataclasses.replace(budget, **overrides[name])
    return dataclasses.replace(planner, **overrides)


def name_of(chosen: str | Config, settings: Config, named: Mapping[str, Config]) -> str:
    """Return what ledgers call settings.

    Args:
        chosen: A name in ``named`` or a configuration.
        settings: What came of it, with what else was asked for.
        named: Configurations by their names.

    Returns:
        The name, "own" for a configuration without one; with a star if the settings are not
        those of the chosen one.
    """
    if isinstance(chosen, str):
        name, config = chosen, named[chosen]
    else:
        config = chosen
        name = next((name for name, other in named.items() if other == config), "own")
    return name if settings == config else f"{name}*"
