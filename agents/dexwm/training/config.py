"""Settings of `dexbench train dexwm`, and what those that are left out stand for."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.sizes import sized
from dexbench.agents.learning.settings import CHANGEABLE, RESOLVED
from dexbench.utils.errors import UserError, at_least

from .lent import lender_of, on_encoder_of
from .recipe import RECIPES, TrainingRecipe

STAGES = ("encoder", "predictor", "rollout")
"""What metrics call the stages; ``stages.py`` says what each trains."""
HAND_WEIGHT = {"compact": 0.02, "paper": 100.0}
"""lambda of each keypoint head: one is trained by cross-entropy, the paper's by squared error."""


@dataclass(frozen=True)
class TrainConfig:
    """Train a DexWM: on episode sets, or on other people's data."""

    data: tuple[Path, ...] = field(metadata=RESOLVED)
    """Data to train on: episode sets, or any folder that `dexbench data index` reads."""
    data_shares: tuple[float, ...] | None = field(default=None, metadata=RESOLVED)
    """Share of each of the data in every batch, of any sum; in proportion to their clips if left
    out. The benchmark's own sets alone are then one pool, in proportion to frames."""
    max_rate: float | None = field(default=None, metadata=RESOLVED)
    """Frames a second to keep of faster data, which spares disk (66 kB each); all if left out."""
    out: Path = field(default=Path("dexwm.safetensors"), metadata=CHANGEABLE)
    """Where the weights go (float16)."""
    work: Path | None = field(default=None, metadata=CHANGEABLE)
    """Folder for decoded frames, checkpoint and metrics.jsonl; OUT.work if left out."""
    minutes: float = field(default=45.0, metadata=CHANGEABLE)
    """Time budget of all stages, decoding of the videos aside."""
    steps: tuple[int, int, int] | None = field(default=None, metadata=CHANGEABLE)
    """Steps of each stage instead of the time budget."""
    shares: tuple[float, float, float] = field(default=(0.25, 0.25, 0.5), metadata=CHANGEABLE)
    """How the stages share the time budget; a stage of 0 is left out."""
    seed: int = 0
    """Names the initial weights and every batch."""
    threads: int = field(default=2, metadata=CHANGEABLE)
    """CPU threads."""
    device: str = field(default="cpu", metadata=CHANGEABLE)
    """Either "cpu", "cuda" or "auto"."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Either "bfloat16", "float32" or "auto": bfloat16 where the hardware multiplies it."""
    images: int = 64
    """Pictures of a stage 1 batch."""
    clips: int = 16
    """Windows of a stage 2 or 3 batch (paper: 4096 in pre-training, 8 in fine-tuning)."""
    accumulate: int = field(default=1, metadata=CHANGEABLE)
    """Parts of a batch that are computed one after the other, so that a large one fits into memory;
    what is learned does not depend on it, but for the order of sums."""
    recipe: Literal["compact", "fine", "even", "paper"] | None = field(
        default=None, metadata=RESOLVED
    )
    """How batches are drawn and steps taken: "compact", "fine" (gaps from 0.1 s, up to eight
    frames), "even" (all gaps 0.2 s) or "paper". The one that goes with --size if left out."""
    rates: tuple[float, float, float] | None = None
    """Peak learning rate of each stage; the recipe's if left out."""
    init: Path | None = field(default=None, metadata=RESOLVED)
    """DexWM weights to begin with, as in fine-tuning; their sizes must be this run's."""
    end_to_end: bool = field(default=False, metadata=RESOLVED)
    """Train the compact encoder in stages 2 and 3 too; reconstruction goes on there, so that it
    does not collapse. If not, it is frozen after stage 1, as in the paper."""
    keypoint_weight: float = 0.1
    """Weight of the keypoint loss in stage 1."""
    hand_weight: float | None = None
    """Weight lambda of the hand-consistency loss in stages 2 and 3; 0.02, or 100 with the paper's
    keypoint head, if left out. With 0 the head learns from true states alone."""
    object_weight: float = field(default=2.0, metadata=RESOLVED)
    """Weight of the object-consistency loss in all stages, for a model with --model.object-map.
    Its targets are drawn again from the sets' states, once."""
    holdout: float = 0.06
    """Share of scenes held out for validation."""
    validate_every: int = field(default=250, metadata=CHANGEABLE)
    """Steps between validations."""
    validation_windows: int = field(default=96, metadata=CHANGEABLE)
    """Held-out windows of four frames in a validation."""
    checkpoint_every: int = field(default=250, metadata=CHANGEABLE)
    """Steps between checkpoints."""
    progress: bool = field(default=True, metadata=CHANGEABLE)
    """Whether to show progress bars."""
    activation_checkpointing: bool = field(default=False, metadata=CHANGEABLE)
    """Compute the predictor's activations again in the backward pass, which spares memory."""
    features: Path | None = field(default=None, metadata=RESOLVED)
    """Folder of the frozen encoder's features (float16), computed once and shared by runs. Pictures
    of stages 2 and 3 are then not augmented; if left out, every batch is encoded."""
    size: Literal["compact", "S", "B", "L", "XL"] = field(default="compact", metadata=RESOLVED)
    """Either "compact", which --model.* changes, or one of the paper's sizes with a pretrained
    encoder."""
    encoder: str | None = field(default=None, metadata=RESOLVED)
    """Pretrained encoder: efficientnet-lite0, dinov2, dinov3, webssl, vjepa2 or siglip2. Or a
    DexWM, by file or packaged name, whose encoder is taken over as it is. If left out compact
    trains its own and the paper's sizes have dinov2."""
    depth_head: bool = field(default=False, metadata=RESOLVED)
    """Give a paper's size compact's keypoint head, of 17 keypoints with depth, with which all
    planners and costs work."""
    encoder_weights: Path | None = field(default=None, metadata=RESOLVED)
    """Folder of the pretrained encoder's weights; the Hugging Face cache if left out."""
    model: ModelConfig = field(default_factory=ModelConfig, metadata=RESOLVED)
    """Sizes of the model."""

    @property
    def first_stage(self) -> int:
        """Index of the first stage; an encoder that is there leaves out the encoder's own."""
        return 0 if self.model.encoder == "compact" and lender_of(self.encoder) is None else 1


def resolve(config: TrainConfig) -> tuple[TrainConfig, TrainingRecipe]:
    """Check the settings and fill in the model, rates and hand weight.

    Returns:
        The settings, all of ``model``, ``rates`` and ``hand_weight`` given; and the recipe.

    Raises:
        UserError: A setting is out of range, or two contradict each other.
    """
    at_least(
        1,
        images=config.images,
        clips=config.clips,
        accumulate=config.accumulate,
        threads=config.threads,
        validate_every=config.validate_every,
        validation_windows=config.validation_windows,
        checkpoint_every=config.checkpoint_every,
    )
    at_least(
        0,
        steps=min(config.steps or [0]),
        holdout=config.holdout,
        keypoint_weight=config.keypoint_weight,
        hand_weight=config.hand_weight,
        object_weight=config.object_weight,
    )
    if config.max_rate is not None and not config.max_rate > 0:
        raise UserError(f"--max-rate is {config.max_rate}, expected frames a second above 0")
    if config.max_rate is not None and config.model.object_map:
        raise UserError("--model.object-map needs every frame of its sets; leave out --max-rate")
    if not config.minutes > 0 or config.holdout >= 1:
        raise UserError("--minutes must be above 0 and --holdout, a share, below 1")
    lender = lender_of(config.encoder)
    model = sized(config.size, None if lender else config.encoder, config.model, config.depth_head)
    if lender is not None:
        model = on_encoder_of(model, lender)
        if config.init is not None:
            raise UserError(
                f"--init {config.init} has an encoder already; leave out --encoder {lender}"
            )
    if config.end_to_end and (model.encoder != "compact" or config.features is not None):
        raise UserError(
            "--end-to-end trains the encoder: it goes with the compact one, and not with "
            "--features, which are a frozen one's"
        )
    recipe = RECIPES[config.recipe or ("compact" if config.size == "compact" else "paper")]
    if model.max_frames < (longest := len(recipe.odds)):
        raise UserError(
            f"model.max_frames is {model.max_frames}; the recipe trains on histories of up to "
            f"{longest} frames"
        )
    weight = HAND_WEIGHT[model.head] if config.hand_weight is None else config.hand_weight
    rates = config.rates or recipe.rates
    config = dataclasses.replace(config, model=model, hand_weight=weight, rates=rates)
    first = config.first_stage
    if min(config.shares) < 0 or sum(config.shares[first:]) == 0:
        raise UserError(
            f"shares are {config.shares}, expected none below 0, and one above of "
            f"{', '.join(STAGES[first:])}"
        )
    return config, recipe
