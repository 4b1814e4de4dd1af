"""What a plan computes, in two ways: ours, and plain computation that shares nothing.

Both evaluate the same candidates with the same weights, which are random. Plain computation encodes
the observed pictures and projects the whole history for every candidate at every step; ours does so
once a decision and shares it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dexbench.utils.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dexbench.agents.dexwm.model.config import ModelConfig
    from dexbench.agents.dexwm.model.world_model import DexWMModel

HORIZON = 3
"""Waypoints of the first of a trial's three plans; the next have one less each."""
SLOTS = 8
"""Frames that the last step of a plan sees where the history is padded, as in the paper."""


def configuration(size: str) -> "ModelConfig":
    """Return the model that ``--size`` names.

    Raises:
        UserError: There is no such size.
    """
    from dexbench.agents.dexwm.model.config import ModelConfig
    from dexbench.agents.dexwm.model.sizes import SIZES

    # A quarter of XL's width, blocks and tokens: width over tokens decides what attention costs
    # beside projections, so it stays. DINOv2-L's blocks too are a quarter, in an encoder that needs
    # no fetching and whose MLPs are half as wide.
    scaled = ModelConfig(
        latent_dim=256,
        encoder_blocks=6,
        head="paper",
        head_dim=64,
        head_heads=4,
        head_blocks=2,
        head_mlp_ratio=4.0,
        cdit="paper",
        predictor_dim=256,
        predictor_blocks=8,
        predictor_heads=4,
        mlp_ratio=4.0,
        max_frames=9,
        action_scale=1.0,
    )
    sizes = {"compact": SIZES["compact"], "scaled": scaled, **SIZES}
    if size not in sizes:
        raise UserError(f"--size is {size!r}; choose one of {', '.join(sizes)}")
    return sizes[size]


def random_model(config: "ModelConfig", device: "torch.device", dtype: "torch.dtype") -> Any:
    """Return a model with random weights; DINOv2-L's too, so that nothing need be fetched.

    Those that begin as zeros are random too: numbers that stay the same cost a GPU less power, and
    so less time.

    Raises:
        UserError: transformers is missing.
    """
    import torch

    from dexbench.agents.dexwm.model.hugging_face import Backbone
    from dexbench.agents.dexwm.model.pretrained import PretrainedEncoder
    from dexbench.agents.dexwm.model.world_model import DexWMModel

    # Built where it runs: a GPU draws random weights quicker.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), device:
        model = DexWMModel(config)
        if isinstance(model.encoder, PretrainedEncoder):
            try:
                import transformers
            except ImportError as error:
                raise UserError(
                    "the paper's sizes have DINOv2 for an encoder, which needs transformers: "
                    "pip install 'dexbench[encoders]'"
                ) from error
            large = transformers.Dinov2Config(
                hidden_size=1024,
                num_hidden_layers=24,
                num_attention_heads=16,
                patch_size=14,
                image_size=518,
            )
            backbone: torch.nn.Module = transformers.Dinov2Model(large)
            backbone = backbone.to(device, dtype).eval().requires_grad_(False)
            model.encoder.backbone = Backbone(backbone, "random")
        draw = torch.Generator(device).manual_seed(0)
        for weights in (*model.predictor.parameters(), *model.head.parameters()):
            if not weights.any():
                weights.data.normal_(std=0.02, generator=draw)
    return model.to(device, dtype).eval().requires_grad_(False)


@dataclass(frozen=True)
class Workload:
    """Pictures seen, and a tile of candidates' actions."""

    model: "DexWMModel"
    pictures: "Tensor"
    """``(F, H, W, 3)`` uint8."""
    actions: "Tensor"
    """``(N, T, 132)``."""

    def prepare(self) -> tuple[Any, "Tensor"]:
        """Encode the newest picture, and the history's keys and values of all frames."""
        predictor, newest = self.model.predictor, self.model.encoder(self.pictures[-1:])
        # The others' latent states are kept from earlier decisions.
        history = newest.unsqueeze(1).expand(-1, len(self.pictures), -1, -1)
        return predictor.encode_history(history), newest

    def evaluate(self, prepared: tuple[Any, "Tensor"]) -> "Tensor":
        """Return a tile's predicted states ``(N, T, P, C)``, their keypoints read as in a cost."""
        states = self.model.predictor.rollout(*prepared, self.actions)
        self.model.head(states.flatten(0, 1))
        return states

    def plain(self) -> "Tensor":
        """Return the same from scratch for every candidate and step.

        Only the first picture differs.
        """
        import torch

        predictor, count = self.model.predictor, len(self.actions)
        predicted: list[Tensor] = []
        for step in range(self.actions.shape[1]):
            frames = self.pictures.expand(count, *self.pictures.shape).flatten(0, 1)
            observed = self.model.encoder(frames).unflatten(0, (count, -1))
            history = torch.cat([observed, *predicted], 1)
            taken = self.actions.new_zeros(count, history.shape[1], self.actions.shape[-1])
            if step:
                taken[:, -step:] = self.actions[:, :step]
            keys = predictor.encode_history(history, actions=taken)
            last = history[:, -1:]
            predicted.append(predictor.predict(keys, last, self.actions[:, step : step + 1]))
        states = torch.cat(predicted, 1)
        self.model.head(states.flatten(0, 1))
        return states


def plans() -> Iterator[tuple[bool, int, int]]:
    """Yield (padded?, observed frames, waypoints) of a trial's plans, for both histories."""
    for padded in (False, True):
        for replan in range(HORIZON):
            horizon = HORIZON - replan
            yield padded, SLOTS + 1 - horizon if padded else replan + 1, horizon
