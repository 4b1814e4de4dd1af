"""DexWM as an agent: planning over joint angles through the latent world model (paper 3.4)."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import load_decoder, pictures
from dexbench.agents.dexwm.model.history import KeysValues
from dexbench.agents.dexwm.model.keypoint_head import Keypoints
from dexbench.agents.dexwm.model.world_model import best_dtype, hand_action, leading_actions
from dexbench.agents.learning.weights import pick_device
from dexbench.agents.planning.belief import Belief
from dexbench.agents.planning.cem import in_tiles
from dexbench.agents.planning.planner_config import PlannerConfig, name_of
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

from .cost import COSTS, CostConfig, LatentCost


@dataclass
class Context:
    """What one optimisation knows: encoded once, shared by all candidates and iterations."""

    history: KeysValues
    """Keys and values of the pictures seen."""
    last: Tensor
    """``(1, P, C)`` latent state of the newest picture."""
    keypoints: Tensor
    """``(21, 3)`` the hand's keypoints now, in m, camera frame."""
    goal: Tensor
    """``(1, P, C)`` latent state of the goal picture."""
    goal_keypoints: Keypoints
    """What the head reads off it."""
    scale: Tensor | None = None
    """``(4,)`` standard deviations of the cost terms in the first population."""


class DexWM(WaypointAgent):
    """Plans with the world model.

    Args:
        planner: As ``WaypointAgent``: "compact", "cold", "paper", "paper-real", "mppi", "gradient".
            If left out "compact", or "paper" with a keypoint head that has no depth.
        weights: A safetensors file, or "compact", the packaged one, if left out.
        cost: A name in ``COSTS`` or a configuration; if left out "compact", or "paper" with the
            paper's planners and with a keypoint head that has no depth.
        device: Where the model runs; "auto" takes a GPU if there is one.
        dtype: "bfloat16", "float32", or "auto": bfloat16 where the hardware multiplies it.
        encoder_weights: Folder of the pretrained encoder that the model was trained with, if it
            was; the Hugging Face cache if left out.
        compile: Whether the model's blocks go through ``torch.compile``: for large models on a GPU.
        overrides: As ``WaypointAgent``.

    Raises:
        UserError: The weights cannot be loaded, the cost needs depth that their head has not, or
            ``compile`` is neither True nor False.
    """

    def __init__(
        self,
        planner: str | PlannerConfig | None = None,
        weights: str | Path | None = None,
        cost: str | CostConfig | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        encoder_weights: str | Path | None = None,
        compile: bool = False,
        **overrides: Any,
    ):
        if isinstance(cost, str) and cost not in COSTS:
            raise ValueError(f"unknown cost {cost!r}; known: {sorted(COSTS)}")
        model_device = pick_device(device)
        if dtype not in ("auto", "bfloat16", "float32"):
            raise UserError(f"dtype is {dtype!r}; choose auto, bfloat16 or float32")
        self.dtype = best_dtype(model_device) if dtype == "auto" else getattr(torch, dtype)
        self.model, self.weights_hash = load_model(
            weights, model_device, self.dtype, Path(encoder_weights) if encoder_weights else None
        )
        no_depth = self.model.config.head == "paper"
        # The warm start that compact's budget is cut down for needs a goal hand with depth.
        planner = planner or ("paper" if no_depth else "compact")
        super().__init__(planner, **overrides)
        self.device = model_device
        if not isinstance(compile, bool):  # "false", say, would be true
            raise UserError(f"compile is {compile!r}; choose True or False")
        if compile:
            self.model.compile_blocks()
        cost = cost or ("paper" if planner in ("paper", "paper-real") or no_depth else "compact")
        config = COSTS[cost] if isinstance(cost, str) else cost
        self._cost_name = name_of(cost, config, COSTS)
        if no_depth and config.depth:
            raise UserError(
                "the paper's keypoint head has no depth, which this cost compares; leave the cost "
                "out or plan with cost=paper"
            )
        self._decoder = load_decoder(weights_file(weights))
        self.metadata = {
            "pretraining": self.model.pretraining,
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
        }
        self.kinematics = HandKinematics(self.device)
        self.costs = LatentCost(config, self.model.head, self.kinematics)

    @property
    def settings(self) -> dict[str, Any]:
        """As ``WaypointAgent``'s, and the cost."""
        return {**super().settings, "cost": dataclasses.asdict(self.costs.config)}

    @property
    def cost_name(self) -> str:
        """What ledgers call the cost."""
        return self._cost_name

    def reset(self, task: str, seed: int) -> None:
        """Start a trial and forget the last one's pictures."""
        super().reset(task, seed)
        self._seen: list[Tensor] = []
        self._hands: list[Tensor] = []
        self._goal: tuple[Tensor, Keypoints] | None = None

    def encode(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the latent state ``(1, P, C)`` of a picture ``(224, 392, 3)`` uint8."""
        small = downsample(pixels, self.model.config.image_size)
        latent: Tensor = self.model.encoder(torch.from_numpy(small)[None].to(self.device))
        return latent

    def observe(self, obs: dict[str, NDArray[Any]]) -> Context:
        """Encode the new picture, the goal once a trial, and the history's keys and values.

        Args:
            obs: ``pixels`` and ``goal`` ``(224, 392, 3)`` uint8; ``keypoints`` ``(21, 3)`` in m,
                camera frame.
        """
        if self._goal is None:
            goal = self.encode(obs["goal"])
            self._goal = goal, self.model.head(goal)
        self._seen.append(self.encode(obs["pixels"]))
        history = torch.stack(self._seen, 1)
        keypoints = torch.as_tensor(np.asarray(obs["keypoints"], np.float32), device=self.device)
        self._hands.append(keypoints)
        actions = leading_actions(torch.stack(self._hands))[None]
        encoded = self.model.predictor.encode_history(history, actions=actions)
        return Context(encoded, history[:, -1], keypoints, *self._goal)

    def goal_hand(self, context: Context) -> Tensor | None:
        """Return the keypoints that the head sees in the goal picture.

        Returns:
            ``(17, 3)`` in m, camera frame; None if the head has no depth or there is no hand.
        """
        goal = context.goal_keypoints
        return goal.points()[0] if goal.depth is not None and goal.shows_hand() else None

    def cost(self, sequences: Tensor, context: Context) -> Tensor:
        """Return costs ``(N,)`` of candidates ``(N, T, 23)`` in rad."""
        terms = in_tiles(
            lambda tile: self.terms(tile, context),
            sequences.to(self.device),
            self.config.tile,
        )
        if context.scale is None:
            context.scale = terms.detach().std(0, correction=0).clamp(min=1e-6)
        return self.costs.total(terms, context.scale, self.task).cpu()

    def see(self, picture: NDArray[np.uint8]) -> Belief:
        """Return keypoints and latent state of a picture ``(224, 392, 3)`` uint8."""
        with torch.no_grad():
            latent = self.encode(picture)
            return _belief(self.model.head(latent), latent[0])

    def predict(self, sequences: Tensor, context: Context) -> Belief:
        """Return what the world model expects after each waypoint of ``(N, T, 23)`` in rad."""
        with torch.no_grad():
            states = self.roll_out(sequences.to(self.device), context)
            return _belief(self.model.head(states.flatten(0, 1)), states)

    def imagine(self) -> NDArray[np.uint8] | None:
        """Return the picture ``(224, 392, 3)`` uint8 that it expects when it looks again.

        None if no decoder lies beside the weights, as ``dexbench train dexwm`` puts one there.
        """
        if self._decoder is None or self.last_plan is None:
            return None
        chosen = self.chosen(self.last_plan)[None].to(self.device)
        with torch.no_grad():
            states = self.roll_out(chosen, self.last_context)
        picture: NDArray[np.uint8] = pictures(self._decoder, states[0, self.next_look][None])[0]
        return picture

    def hand(self, sequences: Tensor) -> Tensor:
        """Return keypoints ``(..., 21, 3)`` in m, camera frame, that joints ``(..., 23)`` make."""
        return camera.base_to_camera(self.kinematics.keypoints(sequences))

    def roll_out(self, sequences: Tensor, context: Context) -> Tensor:
        """Predicted latent states ``(N, T, P, C)`` after the waypoints ``(N, T, 23)`` in rad."""
        points = self.hand(sequences)
        start = context.keypoints.expand(len(sequences), 1, -1, -1)
        actions = hand_action(torch.cat([start, points[:, :-1]], 1), points)
        return self.model.predictor.rollout(context.history, context.last, actions)

    def terms(self, sequences: Tensor, context: Context) -> Tensor:
        """Cost terms ``(N, 4)`` of candidates ``(N, T, 23)`` in rad; see ``LatentCost.terms``."""
        states = self.roll_out(sequences, context)
        weights = self.weights(sequences.shape[1]).to(self.device)
        goal = context.goal, context.goal_keypoints
        return self.costs.terms(sequences, states, goal, weights, self.task)


def _belief(read: Keypoints, states: Tensor) -> Belief:
    """Return latent states ``(..., P, C)`` with the keypoints that the head reads off them."""
    shape = states.shape[:-2]
    if read.depth is None:
        return Belief(None, states.cpu(), read.pixels.reshape(*shape, -1, 2).cpu())
    return Belief(read.points().reshape(*shape, -1, 3).cpu(), states.cpu())
