"""``dexbench speed planner``: what a plan costs, against plain computation and the machine.

Both evaluate the same candidates with the same weights, which are random. Plain computation encodes
the observed pictures and projects the whole history for every candidate at every step; ours does so
once a decision and shares it, and with ``--compile`` its blocks are compiled. They take turns, so
that whatever else the machine does slows both alike.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from dexbench.bench.scores.summary import text_table
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


@dataclass(frozen=True)
class PlannerSpeedConfig:
    """Measures a trial's three plans."""

    size: str = "compact"
    """The model: compact, scaled (XL at a quarter of width, depth and tokens, for a CPU), or the
    paper's S, B, L, XL with DINOv2-L."""
    samples: int = 64
    """Candidates of an iteration; the paper has 512."""
    iterations: int = 3
    """Iterations of a plan; the paper has 10."""
    tile: int = 64
    """Candidates evaluated at a time."""
    repeats: int = 5
    """Turns of each; the medians are printed."""
    plain: bool = True
    """Whether to time plain computation too."""
    compile: bool = False
    """Whether ours, but not plain computation, goes through torch.compile; for a GPU."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """bfloat16, float32, or auto: bfloat16 where the hardware multiplies it."""
    threads: int = 2
    """CPU threads."""


@dataclass(frozen=True)
class PlanSpeed:
    """One plan of a trial; seconds are medians over the turns."""

    padded: bool
    """Whether the history fills its eight slots, as in the paper, or holds what was seen alone."""
    frames: int
    """Observed frames of the history."""
    horizon: int
    """Waypoints of the plan."""
    prepare: float
    """Seconds to encode a picture and project the history, once a plan."""
    tile: float
    """Seconds to evaluate one tile."""
    plan: float
    """Seconds of the plan: prepare, and the tiles of all iterations."""
    ratio: float | None
    """Seconds of the plan by plain computation over ``plan``."""
    flops: int
    """Floating-point operations of a tile."""
    moved: int
    """Bytes that a tile moves at least."""
    matmul: float
    """Seconds that its operations take at the rate of a matmul."""
    copy: float
    """Seconds that its bytes take at the rate of a copy."""

    @property
    def floor(self) -> float:
        """Least seconds of a tile."""
        return max(self.matmul, self.copy)


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
            led = self.actions.new_zeros(count, history.shape[1], self.actions.shape[-1])
            if step:
                led[:, -step:] = self.actions[:, :step]
            keys = predictor.encode_history(history, actions=led)
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


def count_flops(config: "ModelConfig", frames: int, horizon: int, count: int) -> int:
    """Floating-point operations of a tile: matrix products, attention among them."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from dexbench.agents.dexwm.model.config import ACTION_DIM
    from dexbench.agents.dexwm.model.world_model import DexWMModel

    # On the meta device shapes are followed and nothing is computed. The encoder has no part.
    with torch.device("meta"), torch.no_grad():
        model = DexWMModel(dataclasses.replace(config, encoder="compact"))
        seen = torch.empty(1, frames, config.tokens, config.latent_dim)
        history = model.predictor.encode_history(seen)
        work = Workload(model, seen, torch.empty(count, horizon, ACTION_DIM))
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            work.evaluate((history, seen[:, -1]))
    return int(counter.get_total_flops())


def least_bytes(model: "DexWMModel", frames: int, horizon: int, count: int) -> int:
    """Return the bytes that a tile moves at least: weights, shared history, states in and out."""
    config = model.config
    weights = sum(p.numel() for m in (model.predictor, model.head) for p in m.parameters())
    dim, blocks = config.predictor_dim, config.predictor_blocks
    history = 2 * blocks * frames * config.tokens * dim
    # A predicted frame's keys and values are written once and read at each later step.
    own = 2 * blocks * config.tokens * dim * sum(1 + horizon - t for t in range(1, horizon))
    states = 2 * horizon * config.tokens * config.latent_dim
    numbers = horizon * (weights + history) + count * (own + states)
    return numbers * next(model.predictor.parameters()).element_size()


def seconds(function: Callable[[], object], device: "torch.device") -> float:
    """Return how long one call takes, on the device too."""
    import torch

    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peaks(device: "torch.device", dtype: "torch.dtype", repeats: int) -> tuple[float, float]:
    """Return operations a second of a large matmul, and bytes a second of a copy.

    The best of some.
    """
    import torch

    side = 8192 if device.type == "cuda" else 2048
    draw = torch.Generator(device).manual_seed(0)
    matrix = torch.randn(side, side, device=device, dtype=dtype, generator=draw)
    # Each is twice the CPU's last-level cache or more, so a copy goes through memory.
    block = torch.ones(2**28, device=device, dtype=torch.uint8)
    other = torch.empty_like(block)
    matmul = min(seconds(lambda: matrix @ matrix, device) for _ in range(repeats + 2))
    copy = min(seconds(lambda: other.copy_(block), device) for _ in range(repeats + 2))
    return 2 * side**3 / matmul, 2 * len(block) / copy


def measure(config: PlannerSpeedConfig) -> tuple[list[PlanSpeed], tuple[float, float]]:
    """Time the plans, and a matmul and a copy in the same run.

    Returns:
        The six plans, and operations and bytes a second of this machine.

    Raises:
        UserError: A number is below 1, or the size is unknown.
    """
    for key in ("samples", "iterations", "tile", "repeats", "threads"):
        if getattr(config, key) < 1:
            raise UserError(f"--{key} is {getattr(config, key)}, expected at least 1")
    shape = configuration(config.size)
    import torch

    from dexbench.agents.dexwm.model.config import ACTION_DIM
    from dexbench.agents.dexwm.model.world_model import best_dtype
    from dexbench.agents.learning.weights import pick_device

    torch.set_num_threads(config.threads)
    device = pick_device(config.device)
    dtype = best_dtype(device) if config.dtype == "auto" else getattr(torch, config.dtype)
    model = random_model(shape, device, dtype)
    if config.compile:
        model.compile_blocks()
    rate, bandwidth = peaks(device, dtype, config.repeats)
    tile = min(config.tile, config.samples)
    tiles = config.iterations * -(-config.samples // tile)
    found = []
    with torch.inference_mode():
        for padded, frames, horizon in plans():
            draw = torch.Generator().manual_seed(frames)
            size = (frames, *shape.image_size, 3)
            pictures = torch.randint(256, size, dtype=torch.uint8, generator=draw)
            actions = 0.02 * torch.randn(tile, horizon, ACTION_DIM, generator=draw)
            work = Workload(model, pictures.to(device), actions.to(device))
            times = list(_turns(work, config, device))
            prepare, ours, plain = (median(column) for column in zip(*times, strict=True))
            flops = count_flops(shape, frames, horizon, tile)
            moved = least_bytes(model, frames, horizon, tile)
            plan = prepare + tiles * ours
            ratio = tiles * plain / plan if config.plain else None
            found.append(
                PlanSpeed(
                    padded,
                    frames,
                    horizon,
                    prepare,
                    ours,
                    plan,
                    ratio,
                    flops,
                    moved,
                    flops / rate,
                    moved / bandwidth,
                )
            )
    return found, (rate, bandwidth)


def _turns(
    work: Workload, config: PlannerSpeedConfig, device: "torch.device"
) -> Iterator[tuple[float, float, float]]:
    """Yield seconds of preparation, our tile and the plain tile; a first turn warms up."""
    for turn in range(config.repeats + 1):
        prepared = work.prepare()
        times = (
            seconds(work.prepare, device),
            seconds(lambda prepared=prepared: work.evaluate(prepared), device),  # type: ignore[misc]
            _plain_seconds(work, device) if config.plain else 0.0,
        )
        if turn:
            yield times


def _plain_seconds(work: Workload, device: "torch.device") -> float:
    """Return how long plain computation of a tile takes, never compiled."""
    import torch

    with torch.compiler.set_stance("force_eager"):
        return seconds(work.plain, device)


def main(config: PlannerSpeedConfig) -> None:
    """Measure and print."""
    found, (rate, bandwidth) = measure(config)
    head = [
        "history",
        "frames",
        "waypoints",
        "prepare ms",
        "tile ms",
        "plan s",
        "plain/ours",
        "TFLOP/tile",
        "matmul ms",
        "GB/tile",
        "copy ms",
        "floor/tile",
    ]
    rows = [
        [
            "padded" if one.padded else "as seen",
            str(one.frames),
            str(one.horizon),
            f"{1e3 * one.prepare:.1f}",
            f"{1e3 * one.tile:.1f}",
            f"{one.plan:.2f}",
            f"{one.ratio:.1f}" if one.ratio else "",
            f"{one.flops / 1e12:.4f}",
            f"{1e3 * one.matmul:.1f}",
            f"{one.moved / 1e9:.3f}",
            f"{1e3 * one.copy:.1f}",
            f"{one.floor / one.tile:.0%}",
        ]
        for one in found
    ]
    print(text_table(head, rows))
    for padded in (False, True):
        chosen = [one for one in found if one.padded == padded]
        total = sum(one.plan for one in chosen)
        print(f"a trial's three plans, {'padded' if padded else 'as seen'}: {total:.1f} s")
        used = sum(one.flops * (one.plan - one.prepare) / one.tile for one in chosen)
        print(f"  {used / total / rate:.0%} of the rate of a matmul")
    print(f"a matmul: {rate / 1e12:.3f} TFLOP/s; a copy: {bandwidth / 1e9:.1f} GB/s")
