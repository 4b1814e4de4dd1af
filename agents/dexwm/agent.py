"""DexWM as an agent: planning over joint angles through the latent world model (paper 3.4)."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dexbench.agents.dexwm.model.checkpoint import load_model, weights_file
from dexbench.agents.dexwm.model.decoder import load_decoder, pictures
from dexbench.agents.dexwm.model.keypoint_head import Keypoints
from dexbench.agents.dexwm.model.predictor import KeysValues
from dexbench.agents.dexwm.model.world_model import best_dtype, hand_action
from dexbench.agents.learning.weights import pick_device
from dexbench.agents.planning.cem import in_tiles
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.agents.planning.waypoint_agent import Belief, PlannerConfig, WaypointAgent
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.keypoints import DISTINCT, N_DISTINCT, PAPER_KEYPOINTS
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample

LATENT, KEYPOINT, ORIENTATION, LEAVING = range(4)
"""Columns of the cost terms."""
MARGIN = 40.0
"""As far outside the picture as `CostConfig.leaving` tells apart, in px."""


@dataclass(frozen=True)
class CostConfig:
    """How latent and keypoint errors make a cost."""

    mix: str = "scaled"
    """Either "paper": C_state + mu C_kp, with C_kp in pixels. "scaled": each term is divided by its
    standard deviation over the first population, then mixed by ``latent_share``."""
    latent_share: float = 0.3
    """Share of the latent term in "scaled"; the rest is the keypoint term."""
    mu: float = 0.001
    """Weight of the keypoint term in "paper"."""
    depth: bool = True
    """Whether keypoints are compared as 3-D points of all 17 keypoints (metres) instead of as
    pixels of wrist and tips; six pixel positions leave the hand's depth open."""
    consistency: float = 0.0
    """Weight of the distance in metres between the hand that the model predicts and the hand
    that the candidate's joints make, beside that to the goal; needs ``depth``. At 1 the
    keypoint term is at least the joints' own distance to the goal."""
    orientation: float = 0.0
    """Weight of the angle in rad to the neutral wrist orientation, grasp only."""
    leaving: float = 0.0
    """Weight of leaving the picture, where the model cannot follow the hand: at the waypoint
    where it is worst, how far a candidate's keypoints are outside, from 0 to 1 at ``MARGIN`` or
    more, on average."""

    def __post_init__(self) -> None:
        if self.mix not in ("paper", "scaled") or not 0 <= self.latent_share <= 1:
            raise ValueError(
                "mix must be 'paper' or 'scaled' and latent_share within 0..1, got "
                f"{self.mix!r} and {self.latent_share}"
            )
        if self.leaving < 0:
            raise ValueError(f"leaving must be 0 or above, got {self.leaving}")
        if self.consistency < 0 or (self.consistency and not self.depth):
            raise ValueError(
                "consistency must be 0 or above, and compares 3-D points (depth=True); got "
                f"{self.consistency} with depth={self.depth}"
            )


COSTS = {
    "compact": CostConfig(leaving=3.0, consistency=1.0),
    "predicted": CostConfig(leaving=3.0),
    "anywhere": CostConfig(),
    "consistent": CostConfig(consistency=1.0),
    "pixels": CostConfig(depth=False, leaving=3.0),
    "paper": CostConfig(mix="paper", depth=False, orientation=0.4),
}


@dataclass
class Context:
    """What one optimisation knows: encoded once, shared by all candidates and iterations."""

    history: KeysValues
    last: Tensor
    keypoints: Tensor
    goal: Tensor
    goal_keypoints: Keypoints
    scale: Tensor | None = None


class DexWM(WaypointAgent):
    """Plans with the world model.

    Args:
        planner: As ``WaypointAgent``: "compact" (the default budget), "cold", "paper",
            "paper-real", "mppi", "gradient".
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
        planner: str | PlannerConfig = "compact",
        weights: str | Path | None = None,
        cost: str | CostConfig | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        encoder_weights: str | Path | None = None,
        compile: bool = False,
        **overrides: Any,
    ):
        super().__init__(planner, **overrides)
        if isinstance(cost, str) and cost not in COSTS:
            raise ValueError(f"unknown cost {cost!r}; known: {sorted(COSTS)}")
        self.device = pick_device(device)
        if dtype not in ("auto", "bfloat16", "float32"):
            raise UserError(f"dtype is {dtype!r}; choose auto, bfloat16 or float32")
        self.dtype = best_dtype(self.device) if dtype == "auto" else getattr(torch, dtype)
        self.model, self.weights_hash = load_model(
            weights, self.device, self.dtype, Path(encoder_weights) if encoder_weights else None
        )
        if not isinstance(compile, bool):  # "false", say, would be true
            raise UserError(f"compile is {compile!r}; choose True or False")
        if compile:
            self.model.compile_blocks()
        flat = self.model.config.head == "paper"
        cost = cost or ("paper" if planner in ("paper", "paper-real") or flat else "compact")
        self.costs = COSTS[cost] if isinstance(cost, str) else cost
        if flat and self.costs.depth:
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
        neutral = torch.tensor(DUMMY_GRASP[-1], dtype=torch.float32, device=self.device)
        self._neutral = self.kinematics.wrist(neutral)[1]

    @property
    def settings(self) -> dict[str, Any]:
        """As ``WaypointAgent``'s, and the cost."""
        return {**super().settings, "cost": dataclasses.asdict(self.costs)}

    def reset(self, task: str, seed: int) -> None:
        """Start a trial and forget the last one's pictures."""
        super().reset(task, seed)
        self._seen: list[Tensor] = []
        self._goal: tuple[Tensor, Keypoints] | None = None

    def encode(self, pixels: np.ndarray) -> Tensor:
        """Return the latent state ``(1, P, C)`` of a picture ``(224, 392, 3)`` uint8."""
        small = downsample(pixels, self.model.config.image_size)
        return self.model.encoder(torch.from_numpy(small)[None].to(self.device))

    def observe(self, obs: dict[str, np.ndarray]) -> Context:
        """Encode the new picture, the goal once a trial, and the history's keys and values."""
        if self._goal is None:
            goal = self.encode(obs["goal"])
            self._goal = goal, self.model.head(goal)
        self._seen.append(self.encode(obs["pixels"]))
        history = torch.stack(self._seen, 1)
        keypoints = torch.as_tensor(np.asarray(obs["keypoints"], np.float32), device=self.device)
        encoded = self.model.predictor.encode_history(history)
        return Context(encoded, history[:, -1], keypoints, *self._goal)

    def goal_hand(self, context: Context) -> Tensor | None:
        """Return the keypoints that the head sees in the goal picture, if it sees their depth."""
        goal = context.goal_keypoints
        return None if goal.depth is None else goal.points()[0]

    def cost(self, sequences: Tensor, context: Context) -> Tensor:
        """Return costs ``(N,)`` of candidates ``(N, T, 23)`` in rad."""
        terms = in_tiles(
            lambda tile: self.terms(tile, context),
            sequences.to(self.device),
            self.config.tile,
        )
        cost = self.costs
        if cost.mix == "paper":
            factors = terms.new_tensor([1.0, cost.mu, 0.0, cost.leaving])
        else:
            if context.scale is None:
                context.scale = terms.detach().std(0, correction=0).clamp(min=1e-6)
            shares = terms.new_tensor([cost.latent_share, 1 - cost.latent_share, 0.0, 0.0])
            factors = shares / context.scale
            factors[LEAVING] = cost.leaving
        if self.task == "grasp":
            factors[ORIENTATION] = cost.orientation
        return (terms * factors).sum(-1).cpu()

    def see(self, picture: np.ndarray) -> Belief:
        """Return the keypoints that the head finds in a picture, and its latent state."""
        with torch.no_grad():
            latent = self.encode(picture)
            return Belief(self.model.head(latent).points()[0].cpu(), latent[0].cpu())

    def predict(self, sequences: Tensor, context: Context) -> Belief:
        """Return what the world model expects of sequences ``(N, T, 23)`` after each waypoint."""
        with torch.no_grad():
            states = self.roll_out(sequences.to(self.device), context)
            seen = self.model.head(states.flatten(0, 1)).points()
        return Belief(seen.unflatten(0, states.shape[:2]).cpu(), states.cpu())

    def imagine(self) -> np.ndarray | None:
        """Return the picture ``(224, 392, 3)`` uint8 that it expects when it looks again.

        None if no decoder lies beside the weights, as ``dexbench train dexwm`` puts one there.
        """
        if self._decoder is None or self.last_plan is None:
            return None
        chosen = self.chosen(self.last_plan)[None].to(self.device)
        with torch.no_grad():
            states = self.roll_out(chosen, self.last_context)
        return pictures(self._decoder, states[0, self.next_look][None])[0]

    def hand(self, sequences: Tensor) -> Tensor:
        """Return keypoints ``(..., 21, 3)`` in m, camera frame, that joints ``(..., 23)`` make."""
        return camera.base_to_camera(self.kinematics.keypoints(sequences))

    def roll_out(self, sequences: Tensor, context: Context) -> Tensor:
        """Predicted latent states ``(N, T, P, C)`` after the waypoints ``(N, T, 23)``."""
        points = self.hand(sequences)
        start = context.keypoints.expand(len(sequences), 1, -1, -1)
        actions = hand_action(torch.cat([start, points[:, :-1]], 1), points)
        return self.model.predictor.rollout(context.history, context.last, actions)

    def terms(self, sequences: Tensor, context: Context) -> Tensor:
        """Cost terms ``(N, 4)``: latent, keypoint, orientation, weighted over steps; leaving."""
        count, horizon = sequences.shape[:2]
        states = self.roll_out(sequences, context)
        weights = self.weights(horizon).to(self.device)
        # Steps without weight need neither errors nor the keypoint head.
        used = [step for step in range(horizon) if weights[step] > 0]
        states, weights = states[:, used], weights[used]
        latent = (states - context.goal).float().square().mean((-1, -2))
        seen = self.model.head(states.flatten(0, 1))
        keypoint = self.keypoint_distance(seen, context.goal_keypoints).unflatten(0, (count, -1))
        if self.costs.consistency:
            made = self.hand(sequences[:, used])[..., list(DISTINCT), :].flatten(0, 1)
            apart = (seen.points() - made).norm(dim=-1).mean(-1).unflatten(0, (count, -1))
            keypoint = keypoint + self.costs.consistency * apart
        angle = torch.zeros_like(latent)
        # Only where it counts: at the neutral orientation itself the angle has no gradient.
        if self.costs.orientation and self.task == "grasp":
            wrist = self.kinematics.wrist(sequences[:, used])[1]
            cosine = ((wrist * self._neutral).sum((-1, -2)) - 1) / 2
            angle = torch.acos(cosine.clamp(-1, 1))
        leaving = self.leaving(sequences) if self.costs.leaving else torch.zeros_like(latent)
        means = [term @ weights for term in (latent, keypoint, angle)]
        return torch.stack([*means, leaving.amax(1)], -1)

    def leaving(self, sequences: Tensor) -> Tensor:
        """Return how far waypoints ``(N, T, 23)`` leave the picture ``(N, T)``, from 0 to 1."""
        points = self.hand(sequences)[..., list(DISTINCT), :]
        pixels = camera.project(points)
        size = pixels.new_tensor([camera.WIDTH, camera.HEIGHT])
        outside = torch.maximum(-pixels, pixels - size).amax(-1) / MARGIN
        outside = torch.where(points[..., 2] > 0, outside, 1)  # behind the camera
        return outside.clamp(0, 1).mean(-1)

    def keypoint_distance(self, seen: Keypoints, goal: Keypoints) -> Tensor:
        """Mean distance ``(B,)``: metres over 17 keypoints, or pixels over wrist and tips."""
        if self.costs.depth:
            return (seen.points() - goal.points()).norm(dim=-1).sum(-1) / N_DISTINCT
        pick = list(PAPER_KEYPOINTS)
        return (seen.pixels[:, pick] - goal.pixels[:, pick]).norm(dim=-1).mean(-1)
