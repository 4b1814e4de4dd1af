"""What is compared: cells, each a training or a way to plan, and the figures that they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ENCODER = "dexwm"
"""Whose encoder the cells share unless told otherwise, so that one keypoint layer measures them."""


@dataclass(frozen=True)
class Cell:
    """One training, and how it plays. Apart from what is said it is as ``base``."""

    text: str
    """What it is, in a table."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``TrainConfig``."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``ModelConfig``."""
    rolled_out: bool = True
    """Whether the last steps roll out; else all predict from true states."""
    only: int | None = None
    """Which one of the data it is trained on; on all if None."""
    weights: str | None = None
    """The cell whose weights it plays with, where it trains none of its own."""
    cost: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the planner's cost."""


CELLS = {
    "base": Cell("lambda 0.02, rolled out, gaps of 0.1 to 2 s, 192 wide, compact encoder"),
    "no-hand": Cell("lambda 0", {"hand_weight": 0.0}),
    "hand-low": Cell("lambda 0.005", {"hand_weight": 0.005}),
    "hand-high": Cell("lambda 0.1", {"hand_weight": 0.1}),
    "one-step": Cell("never rolled out", rolled_out=False),
    "even": Cell("all gaps 0.2 s", {"recipe": "even"}),
    "small": Cell(
        "96 wide, 3 blocks",
        model={"predictor_dim": 96, "predictor_blocks": 3},
    ),
    "large": Cell(
        "288 wide, 8 blocks",
        model={"predictor_dim": 288, "predictor_blocks": 8, "predictor_heads": 6},
    ),
    "end-to-end": Cell(
        "compact encoder, trained on",
        {"end_to_end": True, "features": None},
    ),
    "efficientnet": Cell("efficientnet-lite0", {"encoder": "efficientnet-lite0"}),
    "camera": Cell("actions tell the camera's motion alone (NWM*)", model={"action": "camera"}),
    "body": Cell("actions tell the upper body, no fingers (PEVA*)", model={"action": "body"}),
    "first": Cell("trained on the first of --data alone", only=0),
    "second": Cell("trained on the second of --data alone", only=1),
    "latent-cost": Cell("no C_kp", weights="base", cost={"latent_share": 1.0, "leaving": 0.0}),
    "keypoint-cost": Cell("C_kp alone", weights="base", cost={"latent_share": 0.0}),
}
"""All cells by name. A file is called by its cell and seed."""


@dataclass(frozen=True)
class Figure:
    """Cells side by side; the others are compared with the first."""

    title: str
    """Heading of its table."""
    cells: tuple[str, ...]
    """Names in ``CELLS``."""
    played: bool = False
    """Whether its cells also play, if trials are asked for."""
    others: bool = False
    """Whether it needs other people's data, so that it is made only where it is asked for."""

    @property
    def trained(self) -> tuple[str, ...]:
        """The cells that have weights of their own; a figure of one has no open-loop table."""
        return tuple(name for name in self.cells if CELLS[name].weights is None)


FIGURES = {
    "hand-loss": Figure(
        "Hand-consistency loss (paper, Table 2) and its weight",
        ("base", "no-hand", "hand-low", "hand-high"),
    ),
    "multistep": Figure("Rolled out in training, or not", ("base", "one-step")),
    "intervals": Figure("Uneven gaps between frames, or even ones", ("base", "even")),
    "predictor": Figure("Size of the predictor (paper, Figure 5)", ("base", "small", "large")),
    "actions": Figure(
        "What actions tell (paper, Table 3)", ("base", "camera", "body"), others=True
    ),
    "mixture": Figure(
        "What is learned from (paper, Table 1)", ("base", "first", "second"), others=True
    ),
    "encoder": Figure(
        "Encoder (paper, Figure 6)", ("base", "end-to-end", "efficientnet"), played=True
    ),
    "cost": Figure(
        "Keypoint term of the planner's cost", ("base", "latent-cost", "keypoint-cost"), played=True
    ),
}
"""All figures, by the names that ``--figures`` takes."""
