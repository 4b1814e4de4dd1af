"""The sizes of a Diffusion Policy; they travel with its weights as JSON."""

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class PolicyConfig:
    """Sizes of the policy's transformer and of its diffusion.

    Attributes:
        feature_dim: Channels of the encoder's tokens, and so of a pooled picture.
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
    """

    feature_dim: int = 128
    dim: int = 192
    blocks: int = 5
    heads: int = 4
    mlp_ratio: float = 4.0
    context: int = 2
    chunk: int = 9
    joints: int = 23
    proprioception: bool = True
    noise_levels: int = 100

    def to_json(self) -> str:
        """The configuration as one line of JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "PolicyConfig":
        """Reads ``to_json``'s text.

        Raises:
            ValueError: The text is no JSON object, or holds an unknown field.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"a policy configuration must be a JSON object, got {text[:80]!r}")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown policy settings {unknown}; known: {sorted(known)}")
        return cls(**values)
