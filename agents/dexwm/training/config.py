"""Settings of `dexbench train dexwm`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dexbench.agents.dexwm.model.config import ModelConfig

FREE = (
    "data",
    "out",
    "work",
    "minutes",
    "steps",
    "shares",
    "threads",
    "device",
    "validate_every",
    "validation_windows",
    "checkpoint_every",
    "progress",
    "features",
    "size",
    "encoder",
    "encoder_weights",
    "activation_checkpointing",
    "recipe",
    "init",
    "end_to_end",
    "depth_head",
)
"""Settings that a continued run may change; size, encoder and depth_head are in ``model``."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run."""

    data: tuple[Path, ...]
    """Episode sets to train on."""
    out: Path = Path("dexwm.safetensors")
    """Where the weights go (float16)."""
    work: Path | None = None
    """Folder for decoded frames, checkpoint and metrics.jsonl; OUT.work if left out."""
    minutes: float = 45.0
    """Time budget of all stages, decoding of the videos aside."""
    steps: tuple[int, int, int] | None = None
    """Steps of each stage instead of the time budget."""
    shares: tuple[float, float, float] = (0.25, 0.25, 0.5)
    """How the stages share the time budget; a stage of 0 is left out."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = 2
    """CPU threads."""
    device: str = "cpu"
    """"cpu", "cuda", or "auto"."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """"bfloat16", "float32", or "auto": bfloat16 where the hardware multiplies it."""
    images: int = 64
    """Pictures of a stage 1 batch."""
    clips: int = 16
    """Windows of a stage 2 or 3 batch (paper: 4096 in pre-training, 8 in fine-tuning)."""
    recipe: Literal["compact", "paper"] | None = None
    """How batches are drawn and steps taken; the one that goes with --size if left out."""
    rates: tuple[float, float, float] | None = None
    """Peak learning rate of each stage; the recipe's if left out."""
    init: Path | None = None
    """DexWM weights to begin with, as in fine-tuning; their sizes must be this run's."""
    end_to_end: bool = False
    """Train the compact encoder in stages 2 and 3 too; reconstruction goes on there, so that it
    does not collapse. If not, it is frozen after stage 1, as in the paper."""
    keypoint_weight: float = 0.1
    """Weight of the keypoint loss in stage 1."""
    hand_weight: float | None = None
    """Weight lambda of the hand-consistency loss in stages 2 and 3; 0.02, or 100 with the paper's
    keypoint head, if left out."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    validate_every: int = 250
    """Steps between validations."""
    validation_windows: int = 96
    """Held-out windows of four frames in a validation."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    progress: bool = True
    """Whether to show progress bars."""
    activation_checkpointing: bool = False
    """Compute the predictor's activations again in the backward pass, which spares memory."""
    features: Path | None = None
    """Folder of the frozen encoder's features (float16), computed once and shared by runs. Pictures
    of stages 2 and 3 are then not augmented; if left out, every batch is encoded."""
    size: Literal["compact", "S", "B", "L", "XL"] = "compact"
    """"compact", which --model.* changes, or one of the paper's sizes with a pretrained encoder."""
    encoder: str | None = None
    """Pretrained encoder of the paper's sizes: dinov2 (if left out), dinov3, webssl, vjepa2 or
    siglip2."""
    depth_head: bool = False
    """Give a paper's size compact's keypoint head, of 17 keypoints with depth, with which compact's
    planner and costs work."""
    encoder_weights: Path | None = None
    """Folder of the pretrained encoder's weights; the Hugging Face cache if left out."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Sizes of the model."""
