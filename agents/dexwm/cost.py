"""What the planner of a DexWM minimises: latent and keypoint errors, and what goes with them.

C = C_state + mu C_kp in the paper (3.4); ``CostConfig`` says what else there is here.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.agents.planning.planner_config import name_of
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import (
    DISTINCT,
    N_DISTINCT,
    PAPER_KEYPOINTS,
    WRIST_AND_TIPS,
)
from dexbench.envs.embodiment.kinematics import HandKinematics

from .object_cost import ObjectGoal

LATENT, KEYPOINT, ORIENTATION, LEAVING, OBJECTS, REACH = range(6)
"""Columns of the cost terms."""
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
    object head."""
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


@dataclass
class LatentCost:
    """The cost of candidates whose latent states a world model predicts."""

    config: CostConfig
    """Which terms count, and how much."""
    head: nn.Module
    """The model's keypoint head."""
    kinematics: HandKinematics
    """On the model's device."""
    object_head: nn.Module | None = None
    """The model's object head, if it has one."""

    def terms(
        self,
        sequences: Tensor,
        states: Tensor,
        goal: tuple[Tensor, Keypoints | None],
        weights: Tensor,
        task: str,
        objects: ObjectGoal | None = None,
    ) -> Tensor:
        """Return the cost terms of candidates, unweighted.

        Args:
            sequences: ``(N, T, 23)`` joint targets in rad.
            states: ``(N, T, P, C)`` predicted latent states after each waypoint.
            goal: The goal's latent ``(1, P, C)``, and the keypoints that the head reads off it;
                None if it shows no hand.
            weights: ``(T,)`` of the steps.
            task: The orientation counts in "grasp" alone.
            objects: Where the objects are and should be; None leaves them out.

        Returns:
            ``(N, 6)``: latent error (mean square), keypoint error (m, or px without ``depth``) and
            orientation (rad), summed over steps by their weights; then leaving (0..1), at the
            worst step that has a weight; then what is left to do with objects, and the hand's
            distance from them, by the mean over steps by their weights. Without a hand in the goal
            the keypoint error is 0.
        """
        count, horizon = sequences.shape[:2]
        # Steps without weight need neither errors nor the keypoint head.
        used = [step for step in range(horizon) if weights[step] > 0]
        states, weights = states[:, used], weights[used]
        latent = (states - goal[0]).float().square().mean((-1, -2))
        predicted = self.head(states.flatten(0, 1))
        keypoint = torch.zeros_like(latent)
        if goal[1] is not None:
            keypoint = self.keypoint_distance(predicted, goal[1]).unflatten(0, (count, -1))
        if goal[1] is not None and self.config.own_hand:
            hands = self._hand(sequences[:, used]).flatten(0, 1)
            apart = (predicted.points() - hands).norm(dim=-1).mean(-1).unflatten(0, (count, -1))
            keypoint = keypoint + apart
        angle = torch.zeros_like(latent)
        # Only where it counts: at the neutral orientation itself the angle has no gradient.
        if self.config.orientation and task == "grasp":
            angle = self.wrist_angle(sequences[:, used])
        leaving = torch.zeros_like(latent)
        if self.config.leaving and self.config.own_hand:
            leaving = self.leaving(sequences)
        elif self.config.leaving:
            leaving = near_edge(predicted.pixels).unflatten(0, (count, -1))
        left, reach = torch.zeros_like(latent), torch.zeros_like(latent)
        if objects is not None and self.object_head is not None:
            logits = self.object_head(states.flatten(0, 1))
            left = objects.left(logits).unflatten(0, (count, -1))
            reach = objects.reach(logits, predicted).unflatten(0, (count, -1)) * left.clamp(max=1)
        latent, keypoint, angle = (term @ weights for term in (latent, keypoint, angle))
        # Divided by nothing later on, these must not count less with each decision of a trial.
        left, reach = (term @ weights / weights.sum() for term in (left, reach))
        return torch.stack([latent, keypoint, angle, leaving.amax(1), left, reach], -1)

    def total(
        self, terms: Tensor, scale: Tensor, task: str, with_hand: bool, hand_share: float = 1.0
    ) -> Tensor:
        """Return costs ``(N,)``: the sum of the terms, each by its factor.

        Args:
            terms: ``(N, 6)`` as from ``terms``.
            scale: ``(6,)`` their standard deviations in the first population; "scaled" divides by
                them.
            task: As in ``terms``.
            with_hand: Whether the goal shows a hand. Otherwise the latent term has the keypoint
                term's share as well.
            hand_share: Factor on latent and keypoint terms, see ``CostConfig.hand_share``.
        """
        config = self.config
        if config.mix == "paper":
            factors = terms.new_tensor([1.0, config.mu, 0.0, config.leaving])
        else:
            latent_share = config.latent_share if with_hand else 1.0
            shares = terms.new_tensor([latent_share, 1 - latent_share, 0.0, 0.0])
            factors = shares / scale[:OBJECTS]
            factors[LEAVING] = config.leaving
        factors[:ORIENTATION] *= hand_share
        if task == "grasp":
            factors[ORIENTATION] = config.orientation
        total = (terms[:, :OBJECTS] * factors).sum(-1)
        if config.objects or config.reach:
            total = total + config.objects * terms[:, OBJECTS] + config.reach * terms[:, REACH]
        return total

    def keypoint_distance(self, predicted: Keypoints, goal: Keypoints) -> Tensor:
        """Mean distance ``(B,)``: m over 17 keypoints, or px over wrist and tips.

        The paper's mix has the paper's six, among which the ring finger's tip comes twice.
        """
        if self.config.depth:
            distances: Tensor = (predicted.points() - goal.points()).norm(dim=-1)
            return distances.sum(-1) / N_DISTINCT
        pick = list(PAPER_KEYPOINTS if self.config.mix == "paper" else WRIST_AND_TIPS)
        distances = (predicted.pixels[:, pick] - goal.pixels[:, pick]).norm(dim=-1)
        return distances.mean(-1)

    def wrist_angle(self, sequences: Tensor) -> Tensor:
        """Return angles ``(N, T)`` in rad of wrists to the dummy grasp's.

        Args:
            sequences: Joints ``(N, T, 23)`` in rad.
        """
        grasp = torch.tensor(DUMMY_GRASP[-1], dtype=torch.float32, device=sequences.device)
        neutral = self.kinematics.wrist(grasp)[1]
        wrist = self.kinematics.wrist(sequences)[1]
        cosine = ((wrist * neutral).sum((-1, -2)) - 1) / 2
        return torch.acos(cosine.clamp(-1, 1))

    def leaving(self, sequences: Tensor) -> Tensor:
        """Return how far candidates' own hands leave the picture, ``(N, T)`` in 0..1.

        Args:
            sequences: Joints ``(N, T, 23)`` in rad.
        """
        points = self._hand(sequences)
        pixels = camera.project(points)
        size = pixels.new_tensor([camera.WIDTH, camera.HEIGHT])
        outside = torch.maximum(-pixels, pixels - size).amax(-1) / MARGIN
        outside = torch.where(points[..., 2] > 0, outside, 1)  # behind the camera
        return outside.clamp(0, 1).mean(-1)

    def _hand(self, sequences: Tensor) -> Tensor:
        """Keypoints ``(..., 17, 3)`` in m, camera frame, that joints ``(..., 23)`` make."""
        return camera.base_to_camera(self.kinematics.keypoints(sequences))[..., list(DISTINCT), :]


def near_edge(pixels: Tensor) -> Tensor:
    """Return how much of hands is on the picture's edge, where those outside are read off.

    Args:
        pixels: Keypoints ``(..., K, 2)`` in px; those that are not a number do not count.

    Returns:
        ``(...)`` in 0..1, the keypoints' mean.
    """
    size = pixels.new_tensor([camera.WIDTH, camera.HEIGHT])
    inside = torch.minimum(pixels, size - pixels).amin(-1)
    return (1 - inside / EDGE).clamp(0, 1).nanmean(-1)
