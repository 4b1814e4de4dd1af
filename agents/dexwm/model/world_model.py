"""DexWM as one module: encoder, keypoint head, predictor; and the action of a hand motion."""

import torch
from torch import Tensor, nn

from dexbench.agents.learning.hand_way import MOMENTS, straight
from dexbench.utils.errors import UserError

from .config import ACTION_DIM, ModelConfig
from .encoder import build_encoder
from .history import KeysValues
from .keypoint_head import build_head
from .keypoint_maps import Keypoints
from .object_map import ObjectMap
from .predictor import Predictor

RING = slice(13, 17)
"""The ring finger's keypoints: the little finger's, which the head leaves out, repeat them."""


class DexWMModel(nn.Module):
    """The world model; ``dtype`` and ``device`` are those of its parameters.

    Attributes:
        pretraining: Data seen that is not the benchmark's own robot's, as the leaderboard states
            it; "none" is nothing.
        history: Most frames of a history that it was trained on; longer ones slide
            (``unroll.unroll``).
    """

    def __init__(self, config: ModelConfig | None = None):
        super().__init__()
        self.config = config or ModelConfig()
        self.encoder = build_encoder(self.config)
        self.head = build_head(self.config)
        self.predictor = Predictor(self.config)
        self.objects = ObjectMap(self.config) if self.config.object_map else None
        encoder = self.config.encoder
        self.pretraining = "none" if encoder == "compact" else f"{encoder} encoder"
        self.history = usual_history(self.config)

    def placed(self, actions: Tensor, way: Tensor) -> Tensor:
        """Return actions as the predictor takes them: with ``hand_maps``, and where the hand is.

        Args:
            actions: ``(..., 132)``, or of another kind, see ``ModelConfig.action``.
            way: Right-hand keypoints ``(..., MOMENTS, 21, 3)`` within each, in metres, camera
                frame; of those that are not ``commanded`` the first moment counts.

        Returns:
            The actions, or ``(..., 195)`` with the first moment's keypoints, or ``(..., 573)`` with
            those of all moments if they are ``commanded``.
        """
        if not self.config.hand_maps:
            return actions
        told = way if self.config.commanded else way[..., :1, :, :]
        return torch.cat([actions, told.flatten(-3)], -1)

    def action(self, way: Tensor) -> Tensor:
        """Return what the robot's motion is to the model, ``placed``: of "camera" zeros.

        Args:
            way: Right-hand keypoints ``(..., MOMENTS, 21, 3)`` in metres, camera frame.

        Raises:
            UserError: Actions tell of an upper body, which the robot has not.
        """
        if self.config.action == "body":
            raise UserError(
                "this model's actions tell how a person's upper body moves, and the robot has none"
            )
        actions = hand_action(way[..., 0, :, :], way[..., -1, :, :])
        return self.placed(actions[..., -self.config.action_dim :], way)

    def leading(self, actions: Tensor, first: Tensor) -> Tensor:
        """Return the actions that led to each frame of a history; to the first none did.

        Args:
            actions: Those between the frames, ``placed``: ``(B, F - 1, D)``.
            first: Right-hand keypoints of the first frame, ``(B, 21, 3)`` in m, camera frame.

        Returns:
            ``(B, F, D)``.
        """
        none = first.new_zeros(len(first), self.config.action_dim)
        stays = self.placed(none, straight(first, first))
        return torch.cat([stays[:, None].to(actions.dtype), actions], 1)

    def rollout(self, history: KeysValues, last: Tensor, actions: Tensor) -> Tensor:
        """Predict what follows, step by step, as a planner must.

        Where the hand will be, nobody knows. So every action of a ``commanded`` model but the first
        begins where the head sees the hand in the state that was predicted before.

        Args:
            history: Of the observed frames, batch B or 1.
            last: The last observed state, ``(B or 1, P, C)``.
            actions: ``placed``, ``(B, T, D)``.

        Returns:
            ``(B, T, P, C)``.
        """
        unknown = self.begun if self.config.commanded else None
        return self.predictor.rollout(history, last, actions, unknown)

    def begun(self, state: Tensor, action: Tensor) -> Tensor:
        """Return a ``commanded`` action that begins where the head sees the hand, if it does.

        Args:
            state: In which it begins, ``(B, 1, P, C)``.
            action: ``placed``, ``(B, 1, D)``, as if it began where it was asked to.
        """
        way = action[..., self.config.action_dim :].unflatten(-1, (MOMENTS, -1, 3))
        with torch.no_grad():
            read: Keypoints = self.head(state[:, 0])
            points, shown = read.points(), read.shows_hand()[:, None, None]
        seen = torch.cat([points, points[:, RING]], 1).to(way.dtype)
        hand = torch.where(shown, seen, way[:, 0, 0])[:, None, None]
        return self.action(torch.cat([hand, way[:, :, 1:]], 2))

    def compile_blocks(self) -> None:
        """From now on runs the blocks of predictor and head through ``torch.compile``.

        What stands between two matrix products becomes one kernel. The first plan takes some 20 s
        longer, so it is of use for large models on a GPU. A history's keys and values are computed
        as before.
        """
        for block in (*self.predictor.blocks, *self.head.blocks):
            block.compile()


def usual_history(config: ModelConfig) -> int:
    """Return the longest history of the recipe that usually trains such a model.

    Compact's windows have three transitions at most, the paper's fill all slots but the last.
    """
    return config.max_frames - 1 if config.cdit == "paper" else min(3, config.max_frames)


def hand_action(before: Tensor, after: Tensor) -> Tensor:
    """Return the 132-dimensional action between two hand configurations (paper Eq. 2).

    The layout is left hand, right hand, camera translation, camera rotation; the left hand and
    the camera stay where they are.

    Args:
        before: Right-hand keypoints ``(..., 21, 3)`` in metres, camera frame.
        after: The same, later.

    Returns:
        ``(..., 132)``.
    """
    difference = (after - before).flatten(-2)
    action = difference.new_zeros(*difference.shape[:-1], ACTION_DIM)
    action[..., 63:126] = difference
    return action


def best_dtype(device: torch.device | str = "cpu") -> torch.dtype:
    """bfloat16 where the hardware multiplies it (CUDA, AMX, AVX-512 BF16), else float32."""
    cpu = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if cpu or torch.device(device).type == "cuda" else torch.float32
