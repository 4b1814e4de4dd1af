"""What a planning agent takes the world's states to be, for people and for `dexbench diagnose`."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Belief:
    """What an agent takes states to be; leading axes are the states'."""

    keypoints: Tensor
    """``(..., 17, 3)`` the hand's distinct keypoints in m, camera frame."""
    latent: Tensor | None = None
    """``(..., P, C)`` the world model's state, for agents that have one."""
