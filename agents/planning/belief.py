"""What a planning agent takes the world's states to be, for people and for `dexbench diagnose`."""

from dataclasses import dataclass

from torch import Tensor

from dexbench.envs.embodiment import camera


@dataclass(frozen=True)
class Belief:
    """What an agent takes states to be; leading axes are the states'."""

    keypoints: Tensor | None
    """``(..., 17, 3)`` the hand's distinct keypoints in m, camera frame; None if the agent knows
    no depth."""
    latent: Tensor | None = None
    """``(..., P, C)`` the world model's state, for agents that have one."""
    flat: Tensor | None = None
    """``(..., 17, 2)`` the keypoints in px, from agents that know no depth; not a number where
    they do not know the keypoint."""

    @property
    def pixels(self) -> Tensor | None:
        """``(..., 17, 2)`` the keypoints in px of the 224x392 picture, however they are known."""
        return self.flat if self.keypoints is None else camera.project(self.keypoints)

    def at(self, candidate: int, step: int) -> "Belief":
        """Return the state of one candidate after one waypoint, of states ``(N, T, ...)``."""
        fields = self.keypoints, self.latent, self.flat
        return Belief(*(None if field is None else field[candidate, step] for field in fields))
