"""Settings of `dexbench train diffusion-policy`."""

from dataclasses import dataclass, field
from pathlib import Path

from dexbench.agents.learning.settings import CHANGEABLE, RESOLVED
from dexbench.utils.errors import UserError, at_least

from .config import PolicyConfig


@dataclass(frozen=True)
class PolicyTrainConfig:
    """Train a goal-conditioned Diffusion Policy."""

    data: tuple[Path, ...] = field(metadata=RESOLVED)
    """Episode sets to train on."""
    out: Path = field(default=Path("diffusion-policy.safetensors"), metadata=CHANGEABLE)
    """Where the weights go (float16)."""
    work: Path | None = field(default=None, metadata=CHANGEABLE)
    """Folder for decoded frames, checkpoint and metrics.jsonl; OUT.work if left out."""
    encoder: Path | None = field(default=None, metadata=RESOLVED)
    """DexWM weights whose encoder sees for the policy; the packaged ones if left out."""
    encoder_weights: Path | None = field(default=None, metadata=RESOLVED)
    """Folder of its weights if it is a pretrained one; the Hugging Face cache if left out."""
    lifted_only: bool = False
    """Learn from episodes alone in which an object was lifted, as from demonstrations."""
    features: Path | None = field(default=None, metadata=CHANGEABLE)
    """Folder of the pooled features (float16), computed once for data, encoder and pooling, and
    shared by runs; OUT.work if left out."""
    minutes: float = field(default=10.0, metadata=CHANGEABLE)
    """Time budget, decoding and encoding of the pictures aside."""
    steps: int | None = field(default=None, metadata=CHANGEABLE)
    """Steps instead of the time budget."""
    batch: int = 64
    """Chunks of a batch."""
    rate: float = 1e-3
    """Peak learning rate."""
    ema: float = 0.998
    """Decay of the moving average of the weights, which is what is kept."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = field(default=2, metadata=CHANGEABLE)
    """CPU threads."""
    device: str = field(default="cpu", metadata=CHANGEABLE)
    """Either "cpu", "cuda" or "auto"."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    validate_every: int = field(default=500, metadata=CHANGEABLE)
    """Steps between validations and checkpoints."""
    progress: bool = field(default=True, metadata=CHANGEABLE)
    """Whether to show progress bars."""
    model: PolicyConfig = field(default_factory=PolicyConfig)
    """Sizes of the policy."""

    def check(self) -> None:
        """Raise UserError if a setting is out of range."""
        at_least(1, batch=self.batch, threads=self.threads, validate_every=self.validate_every)
        at_least(0, steps=self.steps, holdout=self.holdout)
        if not (self.minutes > 0 and self.rate > 0 and 0 <= self.ema < 1 > self.holdout):
            raise UserError(
                "--minutes and --rate must be above 0, and --ema and --holdout, which are shares, "
                "below 1"
            )
