"""``keypoint-fk``: detects the goal's hand keypoints and plans with forward kinematics alone.

It uses DexWM's own keypoint head but no world model. A world model must beat it where objects
move; plain reach may not need one. Where the goal picture shows no hand, it holds.
"""

from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

from .kinematic import KeypointPlanner


class KeypointFK(KeypointPlanner):
    """Unprivileged: sees the goal image only.

    Args:
        planner: As ``WaypointAgent``; "warm" if left out.
        weights: A DexWM's safetensors file; the packaged one if left out.
        overrides: As ``WaypointAgent``.

    Raises:
        UserError: The weights cannot be loaded, or their head has no depth.
    """

    def __init__(
        self,
        planner: str | PlannerConfig = "warm",
        weights: str | Path | None = None,
        **overrides: Any,
    ):
        super().__init__(planner, **overrides)
        self.model, self.weights_hash = load_model(weights)
        if self.model.config.head == "paper":
            raise UserError(
                "the paper's keypoint head has no depth, which keypoint-fk needs; give weights of "
                "a model with --model.head compact"
            )
        self.metadata = {"pretraining": self.model.pretraining, "dtype": "float32"}

    def reset(self, task: str, seed: int) -> None:
        """Start a trial and forget the last one's goal."""
        super().reset(task, seed)
        self._goal: Keypoints | None = None

    def goal_keypoints(self, obs: dict[str, NDArray[Any]]) -> Tensor | None:
        """Return the keypoints that the head sees in the goal picture.

        Returns:
            ``(17, 3)`` in m, camera frame; None if the picture shows no hand.
        """
        if self._goal is None:
            image = torch.from_numpy(downsample(obs["goal"], self.model.config.image_size)[None])
            self._goal = self.model.head(self.model.encoder(image))
        return self._goal.points()[0] if self._goal.shows_hand() else None
