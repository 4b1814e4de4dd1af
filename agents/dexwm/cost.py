"""What the planner of a DexWM minimises: latent and keypoint errors, and what goes with them.

C = C_state + mu C_kp in the paper (3.4); ``CostConfig`` says what else there is here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dexbench.agents.dexwm.model.keypoint_head import Keypoints
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import (
    DISTINCT,
    N_DISTINCT,
    PAPER_KEYPOINTS,
    WRIST_AND_TIPS,
)
from dexbench.envs.embodiment.kinematics import HandKinematics

LATENT, KEYPOINT, ORIENTATION, LEAVING = range(4)
"""Columns of the cost terms."""
MARGIN = 40.0
"""As far outside the picture as `CostConfig.leaving` tells apart, in px."""


@dataclass(frozen=True)
class CostConfig:
    """How latent and keypoint errors make a cost."""

    mix: str = "scaled"
    """Either "paper": C_state + mu C_kp; without ``depth`` C_kp counts the ring finger's tip twice,
    as the paper's release does. "scaled": each term is divided by its
    standard deviation over the first population, then mixed by ``latent_share``."""
    latent_share: float = 0.3
    """Share of the latent term in "scaled"; the rest is the keypoint term."""
    mu: float = 0.001
    """Weight of the keypoint term in "paper"."""
    depth: bool = True
    """Whether keypoints are compared as 3-D points of all 17 keypoints (metres) instead of as
    pixels of wrist and tips, which leave the hand's depth open."""
    consistency: float = 0.0
    """Weight of the distance in metres between the hand that the model predicts and the hand
    that the candidate's joints make, beside that to the goal; needs ``depth``. At 1 the
    keypoint term is at least the joints' own distance to the goal."""
    orientation: float = 0.0
    """Weight of the angle in rad to the neutral wrist orientation, grasp only."""
    leaving: float = 0.0
    """Weight of leaving the picture, where the model cannot follow the hand: at the waypoint
    where it is worst, how far a candidate's keypoints are outside, from 0 to 1 at ``MARGIN`` or
    more, on average."""

    def __post_init__(self) -> None:
        if self.mix not in ("paper", "scaled") or not 0 <= self.latent_share <= 1:
            raise ValueError(
                "mix must be 'paper' or 'scaled' and latent_share within 0..1, got "
                f"{self.mix!r} and {self.latent_share}"
            )
        if self.leaving < 0:
            raise ValueError(f"leaving must be 0 or above, got {self.leaving}")
        if self.consistency < 0 or (self.consistency and not self.depth):
            raise ValueError(
                "consistency must be 0 or above, and compares 3-D points (depth=True); got "
                f"{self.consistency} with depth={self.depth}"
            )


COSTS = {
    "compact": CostConfig(leaving=3.0, consistency=1.0),
    "predicted": CostConfig(leaving=3.0),
    "anywhere": CostConfig(),
    "consistent": CostConfig(consistency=1.0),
    "pixels": CostConfig(depth=False, leaving=3.0),
    "paper": CostConfig(mix="paper", depth=False, orientation=0.4),
}
"""By the names that ``DexWM``'s argument ``cost`` takes; docs/planners.md compares them."""


@dataclass
class LatentCost:
    """The cost of candidates whose latent states a world model predicts."""

    config: CostConfig
    """Which terms count, and how much."""
    head: nn.Module
    """The model's keypoint head."""
    kinematics: HandKinematics
    """On the model's device."""

    def terms(
        self,
        sequences: Tensor,
        states: Tensor,
        goal: tuple[Tensor, Keypoints],
        weights: Tensor,
        task: str,
    ) -> Tensor:
        """Return the cost terms of candidates, unweighted.

        Args:
            sequences: ``(N, T, 23)`` joint targets in rad.
            states: ``(N, T, P, C)`` predicted latent states after each waypoint.
            goal: The goal's latent ``(1, P, C)``, and the keypoints that the head reads off it;
                those of a picture without a hand do not count.
            weights: ``(T,)`` of the steps.
            task: The orientation counts in "grasp" alone.

        Returns:
            ``(N, 4)``: latent error (mean square), keypoint error (m, or px without ``depth``) and
            orientation (rad), summed over steps by their weights; then leaving (0..1), at its
            worst step.
        """
        count, horizon = sequences.shape[:2]
        # Steps without weight need neither errors nor the keypoint head.
        used = [step for step in range(horizon) if weights[step] > 0]
        states, weights = states[:, used], weights[used]
        latent = (states - goal[0]).float().square().mean((-1, -2))
        predicted = self.head(states.flatten(0, 1))
        keypoint = self.keypoint_distance(predicted, goal[1]).unflatten(0, (count, -1))
        if self.config.consistency:
            hands = self._hand(sequences[:, used]).flatten(0, 1)
            apart = (predicted.points() - hands).norm(dim=-1).mean(-1).unflatten(0, (count, -1))
            keypoint = keypoint + self.config.consistency * apart
        angle = torch.zeros_like(latent)
        # Only where it counts: at the neutral orientation itself the angle has no gradient.
        if self.config.orientation and task == "grasp":
            angle = self.wrist_angle(sequences[:, used])
        leaving = self.leaving(sequences) if self.config.leaving else torch.zeros_like(latent)
        if not goal[1].shows_hand():
            keypoint = torch.zeros_like(latent)
        means = [term @ weights for term in (latent, keypoint, angle)]
        return torch.stack([*means, leaving.amax(1)], -1)

    def total(self, terms: Tensor, scale: Tensor, task: str) -> Tensor:
        """Return costs ``(N,)``: the sum of the terms, each by its factor.

        Args:
            terms: ``(N, 4)`` as from ``terms``.
            scale: ``(4,)`` their standard deviations in the first population; "scaled" divides by
                them.
            task: As in ``terms``.
        """
        config = self.config
        if config.mix == "paper":
            factors = terms.new_tensor([1.0, config.mu, 0.0, config.leaving])
        else:
            shares = terms.new_tensor([config.latent_share, 1 - config.latent_share, 0.0, 0.0])
            factors = shares / scale
            factors[LEAVING] = config.leaving
        if task == "grasp":
            factors[ORIENTATION] = config.orientation
        return (terms * factors).sum(-1)

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
        """Return how far waypoints ``(N, T, 23)`` in rad leave the picture, ``(N, T)`` in 0..1."""
        points = self._hand(sequences)
        pixels = camera.project(points)
        size = pixels.new_tensor([camera.WIDTH, camera.HEIGHT])
        outside = torch.maximum(-pixels, pixels - size).amax(-1) / MARGIN
        outside = torch.where(points[..., 2] > 0, outside, 1)  # behind the camera
        return outside.clamp(0, 1).mean(-1)

    def _hand(self, sequences: Tensor) -> Tensor:
        """Keypoints ``(..., 17, 3)`` in m, camera frame, that joints ``(..., 23)`` make."""
        return camera.base_to_camera(self.kinematics.keypoints(sequences))[..., list(DISTINCT), :]
