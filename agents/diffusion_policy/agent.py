"""Diffusion Policy as an agent: chunks of joint targets drawn for the present view and the goal."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dexbench.agents.learning.weights import pick_device
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import seed_for
from dexbench.utils.video import downsample

from .checkpoint import load_policy
from .model import SCHEDULERS, SchedulerName, sample, share_at_start

MOST_AT_START = 0.1
"""Largest share of signal, as alpha-bar, at which denoising pure noise may begin."""


class DiffusionPolicy:
    """Plays chunks of 9 targets; it plans nothing and asks no world model.

    Args:
        weights: A safetensors file of `dexbench train diffusion-policy`, or the name of packaged
            ones: "exploration" (as in the paper) or "lift" (the expert's successful lifts).
        scheduler: "ddim" or "ddpm".
        steps: Denoising steps of a decision; 10, 16, 20, 25, 50 or 100 of the 100 that it was
            trained with, as others begin where the network expects more than noise.
        device: Where the model runs; "auto" takes a GPU if there is one.
        encoder_weights: Folder of the pretrained encoder that the policy was trained with, if it
            was; the Hugging Face cache if left out.

    Raises:
        UserError: As ``load_policy``, or the sampler cannot take so many steps.
    """

    def __init__(
        self,
        weights: str | Path = "exploration",
        scheduler: SchedulerName = "ddim",
        steps: int = 16,
        device: str = "cpu",
        encoder_weights: str | Path | None = None,
    ):
        self.device = pick_device(device)
        self.scheduler, self.steps = scheduler, steps
        folder = Path(encoder_weights) if encoder_weights else None
        self.model, self.weights_hash = load_policy(weights, self.device, folder)
        levels = self.model.config.noise_levels
        if scheduler not in SCHEDULERS or not 1 <= steps <= levels:
            raise UserError(
                f"scheduler is {scheduler!r} and steps {steps}; choose one of "
                f"{', '.join(SCHEDULERS)}, and 1 to {levels} steps"
            )
        if share_at_start(self.model.config, steps) > MOST_AT_START:
            possible = [
                n
                for n in range(1, levels + 1)
                if share_at_start(self.model.config, n) <= MOST_AT_START
            ]
            nearest = sorted(possible, key=lambda n: abs(n - steps))[:3]
            raise UserError(
                f"with {steps} of {levels} steps sampling would not begin in noise; choose another "
                f"number, such as {', '.join(map(str, sorted(nearest)))}"
            )
        self.metadata = {
            "pretraining": self.model.pretraining,
            "dtype": "float32",
            "device": str(self.device),
        }

    def reset(self, task: str, seed: int) -> None:
        """Start a trial; the policy is told the goal by its picture alone, whatever the task."""
        self.seed, self.decision = seed, 0
        self._goal: Tensor | None = None
        self._pictures: list[Tensor] = []
        self._joints: list[Tensor] = []

    def pool(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Pooled features ``(1, features)`` of a picture ``(224, 392, 3)`` uint8."""
        small = downsample(pixels, self.model.encoder_config.image_size)
        return self.model.pool(torch.from_numpy(small)[None].to(self.device))

    @torch.inference_mode()
    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Draw the next targets, ``(9, 23)`` in rad, within the joint limits."""
        if self._goal is None:
            self._goal = self.pool(obs["goal"])
        joints = torch.as_tensor(np.asarray(obs["agent_pos"], np.float32), device=self.device)
        self._pictures.append(self.pool(obs["pixels"]))
        self._joints.append(joints[None])
        context = self.model.config.context
        # Before the first decision nothing was seen: the first observation stands for the past.
        pictures = ([self._pictures[0]] * context + self._pictures)[-context:]
        past = ([self._joints[0]] * context + self._joints)[-context:]
        chunk = sample(
            self.model,
            torch.stack(pictures, 1),
            torch.stack(past, 1),
            self._goal,
            seed_for(self.seed, "diffusion", self.decision),
            self.scheduler,
            self.steps,
        )
        self.decision += 1
        return np.clip(chunk[0].float().cpu().numpy(), LOWEST, HIGHEST)
