"""The sizes of a DexWM; they travel with its weights as JSON."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from dexbench.agents.learning.weights import WeightsConfig
from dexbench.data_collection.readers.sample import ACTION_ROWS, ActionKind
from dexbench.utils.errors import UserError

ACTION_DIM = 132
"""Left hand 21x3, right hand 21x3, camera translation 3, camera rotation 3 (paper Eq. 2)."""

NORM_GROUPS = 8
"""Groups of channels that the compact encoder normalises by themselves."""

MAP_SIDE = 7
"""Cells of the object map that a token's side has."""

LATER = {"later": True}
"""Metadata of fields that came after the first weights.

Their defaults are not written, so that old weights and runs stay valid.
"""


@dataclass(frozen=True)
class ModelConfig(WeightsConfig):
    """Sizes of encoder, keypoint head and predictor."""

    kind: ClassVar[str] = "model"
    encoder: str = "compact"
    """Which encoder builds the latent: "compact" or a pretrained one, such as "dinov2"."""
    image_size: tuple[int, int] = (112, 196)
    """Height and width of the encoder's input in pixels."""
    grid: tuple[int, int] = (8, 14)
    """Rows and columns of latent tokens."""
    latent_dim: int = 128
    """Channels of a latent token."""
    encoder_width: int = 64
    """Channels of the compact encoder's convolutional stem."""
    encoder_blocks: int = 3
    """Transformer blocks of the compact encoder."""
    head_blocks: int = 2
    """Transformer blocks of the keypoint head."""
    heat_scale: int = 7
    """Heat-map cells per token side (grid 8x14 and 7 make 56x98)."""
    predictor_dim: int = 192
    """Width D of the CDiT predictor."""
    predictor_blocks: int = 5
    """Number of CDiT blocks B."""
    predictor_heads: int = 3
    """Attention heads of a CDiT block."""
    mlp_ratio: float = 2.0
    """Hidden width of a block's MLP over its width."""
    max_frames: int = 8
    """Most frames a history may hold."""
    action_scale: float = 5.0
    """Factor on the action before its MLP; hand motions are a few centimetres."""
    head: Literal["compact", "paper"] = field(default="compact", metadata=LATER)
    """Either "compact": 17 keypoints of the right hand with depth. Or "paper": heat-maps of
    wrist and tips of both hands, no depth."""
    head_dim: int | None = field(default=None, metadata=LATER)
    """Width of the keypoint head; that of the latent if left out."""
    head_heads: int = field(default=2, metadata=LATER)
    """Attention heads of the keypoint head."""
    head_mlp_ratio: float = field(default=2.0, metadata=LATER)
    """As ``mlp_ratio``, of the keypoint head."""
    left_hand: bool = field(default=False, metadata=LATER)
    """Give compact's head the left hand as well; planning on the robot reads the right one. Where
    the data show people it is so by itself."""
    cdit: Literal["compact", "paper"] = field(default="compact", metadata=LATER)
    """How the predictor uses actions and positions, see ``predictor.Predictor``."""
    hand_maps: bool = field(default=False, metadata=LATER)
    """Whether the predictor is told where in the picture the hand is and goes."""
    residual: bool = field(default=False, metadata=LATER)
    """Whether the predictor's output is added to the last state, so that what it leaves at zero
    stays as it is."""
    action: ActionKind = field(default="hands", metadata=LATER)
    """What actions tell the predictor: "hands" (paper Eq. 2), "camera" alone (NWM*) or "body", the
    upper body without fingers and the camera (PEVA*, for data in EgoDex's layout)."""
    commanded: bool = field(default=False, metadata=LATER)
    """Whether the robot's actions lead to the hand that its joint targets ask for, as a planner's
    do, instead of to the one that was reached; with an object map also along the arc that the
    joints take. For the benchmark's own data; needs ``hand_maps`` and the compact head."""
    object_map: bool = field(default=False, metadata=LATER)
    """Whether states hold a map of where objects are, behind the hand too, that the hand moves
    along; needs ``hand_maps`` and the compact encoder."""

    def __post_init__(self) -> None:
        head = "head_dim" if self.head_dim else "latent_dim"
        for width, parts, why in (
            ("predictor_dim", self.predictor_heads, "predictor_heads"),
            (head, self.head_heads, "head_heads"),
            ("latent_dim", 2, "the two attention heads of a block"),
            ("encoder_width", NORM_GROUPS, "the groups of its normalisation"),
        ):
            value = getattr(self, width)
            if parts < 1 or value < 1 or value % parts:
                raise UserError(f"model.{width} is {value}, expected a multiple of {parts} ({why})")
        if self.action not in ACTION_ROWS:
            raise UserError(
                f"model.action is {self.action!r}; choose one of {', '.join(ACTION_ROWS)}"
            )
        if self.hand_maps and self.action != "hands":
            raise UserError(
                "model.hand_maps show where the hand goes, which only model.action 'hands' tells; "
                f"leave them out with {self.action!r}"
            )
        if self.commanded and self.action != "hands":
            raise UserError(
                "model.commanded is about where the hand goes, which only model.action 'hands' "
                f"tells; leave it out with {self.action!r}"
            )
        if self.commanded and not (self.hand_maps and self.head == "compact"):
            raise UserError(
                "model.commanded needs --model.hand-maps, which tell it where the hand is, and "
                f"--model.head compact, which sees it; got {self.hand_maps} and {self.head!r}"
            )
        if self.object_map and not (self.hand_maps and self.encoder == "compact"):
            raise UserError(
                "model.object_map needs --model.hand-maps, which tell it where the hand is, and "
                f"the compact encoder; got {self.hand_maps} and {self.encoder!r}"
            )
        if min(self.grid) < 1:
            raise UserError(f"model.grid is {self.grid}, expected 1 row and column or more")

    @property
    def action_dim(self) -> int:
        """Numbers of an action."""
        return 3 * ACTION_ROWS[self.action]

    @property
    def tokens(self) -> int:
        """Tokens of one latent state, P in the paper."""
        return self.grid[0] * self.grid[1]

    @property
    def state_dim(self) -> int:
        """Channels of one token of a state: ``latent_dim``, then those of the object map."""
        return self.latent_dim + (MAP_SIDE**2 if self.object_map else 0)

    def settings(self) -> dict[str, Any]:
        """Return the fields by name; ``LATER`` ones only where they differ from their default."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in dataclasses.fields(self)
            if entry.metadata != LATER or getattr(self, entry.name) != entry.default
        }

    def to_json(self) -> str:
        """Return ``settings`` as one line of JSON with sorted keys."""
        return json.dumps(self.settings(), sort_keys=True)
