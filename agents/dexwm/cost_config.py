"""Which terms a DexWM's cost has, how much each counts, and the costs that have names."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.planning.planner_config import name_of

MARGIN = 40.0
"""As far outside the picture as leaving by the candidate's own hand tells apart, in px."""
EDGE = 16.0
"""How near to the picture's edge, in px, the head reads off a keypoint that leaves: it is trained
to put those outside on the edge."""


@dataclass(frozen=True)
class CostConfig:
    """How latent and keypoint errors make a cost."""

    mix: str = "scaled"
    """Either "paper": C_state + mu C_kp; without ``depth`` C_kp counts the ring finger's tip twice,
    as the paper's release does. "scaled": each term is divided by its
    standard deviation over the first population, then mixed by ``latent_share``."""
    latent_share: float = 0.3
    """Share of the latent term in "scaled"; the rest is the keypoint term. Without a hand in the
    goal picture there is no keypoint term, and the share is 1."""
    mu: float = 0.001
    """Weight of the keypoint term in "paper"."""
    depth: bool = True
    """Whether keypoints are compared as 3-D points of all 17 keypoints (metres) instead of as
    pixels of wrist and tips, which leave the hand's depth open."""
    own_hand: bool = False
    """Whether the hand that the candidate's joints make counts, by forward kinematics: its mean
    distance in metres from the predicted hand is added to the keypoint term, which is then at
    least its distance to the goal, and ``leaving`` is read from it; needs ``depth``."""
    orientation: float = 0.0
    """Weight of the angle in rad to the neutral wrist orientation, grasp only."""
    leaving: float = 0.0
    """Weight of leaving the picture, where the model cannot follow the hand: the keypoints' mean
    at the waypoint where it is worst. A predicted keypoint counts from 0 at ``EDGE`` within the
    picture to 1 on its edge; with ``own_hand``, one by kinematics from 0 on the edge to 1 at
    ``MARGIN`` outside."""

    objects: float = 0.0
    """Weight of what is left to do with objects, see ``ObjectGoal.left``; needs a model with an
    object map."""
    reach: float = 0.0
    """Weight of the hand's distance from objects that are not where they should be, which draws it
    there; likewise."""
    hand_way: float = 0.0
    """Metres that the goal's hand must be from the first picture's for latent and keypoint terms to
    count in full; nearer they count in proportion, and without a hand in the goal picture not at
    all. They would tell a hand to stay that has to push and come back. 0 counts them always."""

    def __post_init__(self) -> None:
        if self.mix not in ("paper", "scaled") or not 0 <= self.latent_share <= 1:
            raise ValueError(
                "mix must be 'paper' or 'scaled' and latent_share within 0..1, got "
                f"{self.mix!r} and {self.latent_share}"
            )
        for name in ("leaving", "objects", "reach", "hand_way"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or above, got {getattr(self, name)}")
        for name in ("own_hand", "hand_way"):
            if getattr(self, name) and not self.depth:
                raise ValueError(f"{name} compares 3-D points: give depth=True with it")

    def settings(self) -> dict[str, Any]:
        """Return the settings as ledgers hold them: those that came later only where they are on.

        So the rows of a cost without them stay what they were.
        """
        settings = dataclasses.asdict(self)
        later = ("objects", "reach", "hand_way")
        return {k: v for k, v in settings.items() if v or k not in later}

    def hand_share(self, start: Keypoints, goal: Keypoints | None) -> float:
        """Return by how much latent and keypoint terms count, 0..1, if ``hand_way`` is set.

        Args:
            start: What the head reads off the first picture.
            goal: The same of the goal; None if it shows no hand.
        """
        if goal is None:
            return 0.0
        way = (goal.points() - start.points()).norm(dim=-1).mean()
        return min(float(way) / self.hand_way, 1.0)


COSTS = {
    "predicted": CostConfig(leaving=3.0),
    "objects": CostConfig(leaving=3.0, objects=5.0, reach=1.0, hand_way=0.1),
    "own-hand": CostConfig(leaving=3.0, own_hand=True),
    "paper": CostConfig(mix="paper", depth=False, orientation=0.4),
}
"""By the names that ``DexWM``'s argument ``cost`` takes; docs/planners.md compares them. Of
``predicted``, ``objects`` and ``paper`` every term but the wrist's angle is a function of predicted
latents and the goal; ``own-hand`` adds the robot's own kinematics."""

COST_OF = {"warm": "own-hand", "paper": "paper", "paper-real": "paper"}
"""The usual cost of a planner, where it is not ``predicted``."""


def cost_config(
    cost: str | CostConfig | dict[str, Any] | None, usual: str
) -> tuple[CostConfig, str]:
    """Return the settings of a cost, and what ledgers call them.

    Args:
        cost: A name in ``COSTS``, a configuration, a dict of what differs from the usual one, or
            None for that one.
        usual: The name of the usual one.

    Raises:
        ValueError: The name or a setting is unknown, or a setting is out of range.
    """
    if isinstance(cost, str) and cost not in COSTS:
        raise ValueError(f"unknown cost {cost!r}; known: {sorted(COSTS)}")
    if isinstance(cost, CostConfig):
        return cost, name_of(cost, cost, COSTS)
    changes = cost if isinstance(cost, dict) else {}
    known = [field.name for field in dataclasses.fields(CostConfig)]
    if unknown := sorted(changes.keys() - set(known)):
        raise ValueError(f"unknown settings of a cost {unknown}; known: {known}")
    name = cost if isinstance(cost, str) else usual
    config = dataclasses.replace(COSTS[name], **changes)
    return config, name_of(name, config, COSTS)
