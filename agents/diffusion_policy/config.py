"""The sizes of a Diffusion Policy; they travel with its weights as JSON."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from dexbench.agents.learning.weights import WeightsConfig
from dexbench.envs.embodiment.robot import N_JOINTS
from dexbench.utils.errors import UserError, at_least


@dataclass(frozen=True)
class PolicyConfig(WeightsConfig):
    """Sizes of the policy's transformer and of its diffusion.

    Attributes:
        feature_dim: Channels of the encoder's tokens.
        pool: Rows and columns of the cells that tokens are averaged in; they divide the encoder's
            grid. The paper averages over all, one cell; more keep where things are.
        dim: Width of the transformer.
        blocks: Decoder blocks.
        heads: Attention heads.
        mlp_ratio: Hidden width of a block's MLP over its width.
        context: Observations the policy sees: the present one and those of earlier decisions.
        chunk: Joint targets it plans at a time, one for each control step of 0.1 s.
        joints: Commanded joints.
        proprioception: Whether an observation holds the achieved joint angles beside the picture.
            The paper names pictures alone, but its pooled features leave open where joints stand.
        noise_levels: Steps of the diffusion in training.
        prediction: What the network predicts, in diffusers' words: "epsilon" (the noise), "sample"
            (the clean chunk) or "v_prediction" (a mixture that is well scaled at every level).
    """

    kind: ClassVar[str] = "policy"
    feature_dim: int = 128
    pool: tuple[int, int] = (1, 1)
    dim: int = 128
    blocks: int = 4
    heads: int = 4
    mlp_ratio: float = 4.0
    context: int = 2
    chunk: int = 9
    joints: int = 23
    proprioception: bool = True
    noise_levels: int = 100
    prediction: Literal["epsilon", "sample", "v_prediction"] = "sample"

    def __post_init__(self) -> None:
        sizes = ("feature_dim", "dim", "blocks", "heads", "context", "chunk", "noise_levels")
        at_least(1, **{f"model.{name}": getattr(self, name) for name in sizes})
        if self.dim % self.heads:
            raise UserError(
                f"model.dim is {self.dim}, expected a multiple of {self.heads} (model.heads)"
            )
        if self.joints != N_JOINTS:
            raise UserError(f"model.joints is {self.joints}, but the robot commands {N_JOINTS}")

    @property
    def features(self) -> int:
        """Numbers that a pooled picture comes down to."""
        return self.feature_dim * self.pool[0] * self.pool[1]
