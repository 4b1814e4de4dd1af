"""What the planner of a DexWM minimises: latent and keypoint errors, and what goes with them.

C = C_state + mu C_kp in the paper (3.4); `cost_config.CostConfig` says what else there is here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import (
    DISTINCT,
    N_DISTINCT,
    PAPER_KEYPOINTS,
    WRIST_AND_TIPS,
)
from dexbench.envs.embodiment.kinematics import HandKinematics

from .cost_config import EDGE, MARGIN, CostConfig
from .object_cost import ObjectGoal

LATENT, KEYPOINT, ORIENTATION, LEAVING, OBJECTS, REACH = range(6)
"""Columns of the cost terms."""


@dataclass
class LatentCost:
    """The cost of candidates whose latent states a world model predicts."""

    config: CostConfig
    """Which terms count, and how much."""
    head: nn.Module
    """The model's keypoint head."""
    kinematics: HandKinematics
    """On the model's device."""
    object_map: nn.Module | None = None
    """The model's object map, if it has one."""

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
        if objects is not None and self.object_map is not None:
            logits = self.object_map(states.flatten(0, 1))
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
