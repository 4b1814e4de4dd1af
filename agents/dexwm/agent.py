"""DexWM as an agent: planning over joint angles through the latent world model (paper 3.4)."""

from collections.abc import Iterable
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
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.dexwm.model.object_memory import remembered
from dexbench.agents.dexwm.model.world_model import best_dtype
from dexbench.agents.learning.hand_way import commanded, straight
from dexbench.agents.learning.weights import pick_device
from dexbench.agents.planning.belief import Belief
from dexbench.agents.planning.cem import in_tiles
from dexbench.agents.planning.planner_config import PlannerConfig
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

from .cost import LatentCost
from .cost_config import COST_OF, CostConfig, cost_config
from .object_cost import ObjectGoal


@dataclass
class Context:
    """What one optimisation knows: encoded once, shared by all candidates and iterations."""

    history: KeysValues
    """Keys and values of the pictures seen."""
    last: Tensor
    """``(1, P, C)`` latent state of the newest picture."""
    hand: Tensor
    """Where the hand is: its keypoints ``(21, 3)`` in m, camera frame."""
    target: Tensor
    """The joint targets ``(23,)`` in rad that led there."""
    goal: Tensor
    """``(1, P, C)`` latent state of the goal picture."""
    goal_keypoints: Keypoints | None
    """What the head reads off it; None if it shows no hand."""
    objects: ObjectGoal | None
    """Where objects are and should be; None if they do not count."""
    hand_share: float
    """By how much the terms that ask for the goal's hand count."""
    scale: Tensor | None = None
    """``(6,)`` standard deviations of the cost terms in the first population."""


class DexWM(WaypointAgent):
    """Plans with the world model.

    Args:
        planner: As ``WaypointAgent``: "cem", "warm", "paper", "paper-real", "mppi", "gradient". If
            left out "cem", or "paper" with a keypoint head that has no depth.
        weights: A safetensors file, or the packaged "dexwm" (if left out) or "scratch".
        cost: A name in ``COSTS``, a configuration, or a dict of what differs from the usual one.
            The usual one is "predicted"; "own-hand" with the planner "warm"; "paper" with the
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
        cost: str | CostConfig | dict[str, Any] | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        encoder_weights: str | Path | None = None,
        compile: bool = False,
        **overrides: Any,
    ):
        model_device = pick_device(device)
        if dtype not in ("auto", "bfloat16", "float32"):
            raise UserError(f"dtype is {dtype!r}; choose auto, bfloat16 or float32")
        self.dtype = best_dtype(model_device) if dtype == "auto" else getattr(torch, dtype)
        self.model, self.weights_hash = load_model(
            weights, model_device, self.dtype, Path(encoder_weights) if encoder_weights else None
        )
        if self.model.config.action != "hands":
            raise UserError(
                f"{weights_file(weights)} predicts from actions of the "
                f"{self.model.config.action!r} kind, which do not tell what the robot's hand does; "
                "plan with weights of --model.action hands"
            )
        no_depth = self.model.config.head == "paper"
        planner = planner or ("paper" if no_depth else "cem")
        super().__init__(planner, **overrides)
        self.device = model_device
        if not isinstance(compile, bool):  # "false", say, would be true
            raise UserError(f"compile is {compile!r}; choose True or False")
        if compile:
            self.model.compile_blocks()
        heads = "predicted" if self.model.objects is None else "objects"
        usual = "paper" if no_depth else COST_OF.get(str(planner), heads)
        config, self._cost_name = cost_config(cost, usual)
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
        if (config.objects or config.reach) and self.model.objects is None:
            raise UserError(
                "this cost counts objects, which the model has no map of; train one with "
                "--model.object-map, or plan with cost=predicted"
            )
        heed = self.model.objects if config.objects or config.reach else None
        self.costs = LatentCost(config, self.model.head, self.kinematics, heed)

    @property
    def settings(self) -> dict[str, Any]:
        """As ``WaypointAgent``'s, and the cost."""
        return {**super().settings, "cost": self.costs.config.settings()}

    @property
    def cost_name(self) -> str:
        """What ledgers call the cost."""
        return self._cost_name

    def reset(self, task: str, seed: int) -> None:
        """Start a trial and forget the last one's pictures."""
        super().reset(task, seed)
        self._seen: list[Tensor] = []
        self._hands: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._goal: tuple[Tensor, Keypoints | None] | None = None
        self._objects: ObjectGoal | None = None
        self._hand_share = 1.0

    def encode(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Return the latent state ``(1, P, C)`` of a picture ``(224, 392, 3)`` uint8."""
        small = downsample(pixels, self.model.config.image_size)
        latent: Tensor = self.model.encoder(torch.from_numpy(small)[None].to(self.device))
        return latent

    def observe(self, obs: dict[str, NDArray[Any]]) -> Context:
        """Encode the new picture, the goal once a trial, and the history's keys and values.

        Args:
            obs: ``pixels`` and ``goal`` ``(224, 392, 3)`` uint8; ``keypoints`` ``(21, 3)`` in m,
                camera frame; ``agent_target`` ``(23,)`` in rad.
        """
        if self._goal is None:
            goal = self.encode(obs["goal"])
            hand: Keypoints = self.model.head(goal)
            self._goal = goal, hand if hand.shows_hand() else None
        reached, target = (
            torch.as_tensor(np.asarray(obs[name], np.float32), device=self.device)
            for name in ("keypoints", "agent_target")
        )
        state = self.encode(obs["pixels"])
        self._hands.append(reached)
        self._targets.append(target)
        hands, targets = torch.stack(self._hands), torch.stack(self._targets)
        ways = self.way(hands[:-1], targets, hands[1:])
        if self._seen:
            state = remembered(self.model, state, self._seen[-1], ways[-1:], reached[None])
        self._seen.append(state)
        if len(self._seen) == 1 and self.costs.config.hand_way:
            seen: Keypoints = self.model.head(self._seen[0])
            self._hand_share = self.costs.config.hand_share(seen, self._goal[1])
        if self._objects is None and self.costs.object_map is not None:
            start, end = (self.costs.object_map(state) for state in (self._seen[0], self._goal[0]))
            self._objects = ObjectGoal.read(start, end)
        history = torch.stack(self._seen, 1)
        actions = self.model.leading(self.model.action(ways)[None], hands[:1])
        encoded = self.model.predictor.encode_history(history, actions=actions)
        known = self._objects, self._hand_share
        return Context(encoded, history[:, -1], reached, target, *self._goal, *known)

    def goal_hand(self, context: Context) -> Tensor | None:
        """Return the keypoints that the head sees in the goal picture.

        Returns:
            ``(17, 3)`` in m, camera frame; None if it shows no hand, or the head has no depth.
        """
        goal = context.goal_keypoints
        return None if goal is None or goal.depth is None else goal.points()[0]

    def cost(self, sequences: Tensor, context: Context) -> Tensor:
        """Return costs ``(N,)`` of candidates ``(N, T, 23)`` in rad."""
        terms = in_tiles(
            lambda tile: self.terms(tile, context),
            sequences.to(self.device),
            self.config.tile,
        )
        return self._total(terms, context)

    def cost_seen(
        self, sequences: Tensor, pictures: Iterable[NDArray[np.uint8]], context: Context
    ) -> Tensor | None:
        """Return costs ``(N,)`` with what really came of candidates in place of predictions.

        Args:
            sequences: ``(N, T, 23)`` in rad.
            pictures: Of each what was seen after each waypoint, ``(T, 224, 392, 3)`` uint8.
            context: Of the plan; what it divided by stays.
        """
        with torch.no_grad():
            states = [torch.cat([self.encode(picture) for picture in row]) for row in pictures]
            terms = self.terms(sequences.to(self.device), context, torch.stack(states))
        return self._total(terms, context)

    def see(self, picture: NDArray[np.uint8]) -> Belief:
        """Return what it makes of a picture ``(224, 392, 3)`` uint8.

        Returns:
            The latent state, and the keypoints if the picture shows a hand.
        """
        with torch.no_grad():
            latent = self.encode(picture)
            hand: Keypoints = self.model.head(latent)
            return _belief(hand, latent[0]) if hand.shows_hand() else Belief(None, latent[0].cpu())

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

    def way(self, hands: Tensor, targets: Tensor, ends: Tensor | None = None) -> Tensor:
        """Return ways of the hand ``(..., T, MOMENTS, 21, 3)`` in m, camera frame.

        Args:
            hands: Where it is when each begins, ``(..., T, 21, 3)`` in m, camera frame.
            targets: Joint targets ``(..., T + 1, 23)`` in rad, of before the first on.
            ends: Where each comes to, ``(..., T, 21, 3)``; where the targets ask for if left out. A
                model of ``commanded`` actions is not told.
        """
        if self.model.config.commanded:
            return commanded(self.kinematics, hands, targets[..., :-1, :], targets[..., 1:, :])
        return straight(hands, self.hand(targets[..., 1:, :]) if ends is None else ends)

    def roll_out(self, sequences: Tensor, context: Context) -> Tensor:
        """Predicted latent states ``(N, T, P, C)`` after the waypoints ``(N, T, 23)`` in rad."""
        first = context.hand.expand(len(sequences), 1, -1, -1)
        hands = torch.cat([first, self.hand(sequences[:, :-1])], 1)
        target = context.target.expand_as(sequences[:, :1])
        ways = self.way(hands, torch.cat([target, sequences], 1))
        return self.model.rollout(context.history, context.last, self.model.action(ways))

    def terms(self, sequences: Tensor, context: Context, states: Tensor | None = None) -> Tensor:
        """Return cost terms ``(N, 6)`` of candidates; see ``LatentCost.terms``.

        Args:
            sequences: ``(N, T, 23)`` in rad.
            context: Of the plan.
            states: Latent states after each waypoint ``(N, T, P, C)``; predicted if left out.
        """
        if states is None:
            states = self.roll_out(sequences, context)
        weights = self.weights(sequences.shape[1]).to(self.device)
        goal = context.goal, context.goal_keypoints
        return self.costs.terms(sequences, states, goal, weights, self.task, context.objects)

    def _total(self, terms: Tensor, context: Context) -> Tensor:
        """Costs ``(N,)`` of terms ``(N, 6)``; the first ones of a plan say what it divides by."""
        if context.scale is None:
            context.scale = terms.detach().std(0, correction=0).clamp(min=1e-6)
        with_hand = context.goal_keypoints is not None
        share = context.hand_share
        return self.costs.total(terms, context.scale, self.task, with_hand, share).cpu()


def _belief(read: Keypoints, states: Tensor) -> Belief:
    """Return latent states ``(..., P, C)`` with the keypoints that the head reads off them."""
    shape = states.shape[:-2]
    if read.depth is None:
        return Belief(None, states.cpu(), read.pixels.reshape(*shape, -1, 2).cpu())
    return Belief(read.points().reshape(*shape, -1, 3).cpu(), states.cpu())
