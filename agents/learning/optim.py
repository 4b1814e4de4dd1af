"""AdamW with float32 master weights behind a model that computes in bfloat16."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def schedule(progress: float, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Factor on the learning rate: linear warm-up, then a cosine down to ``floor``.

    Args:
        progress: Share of the stage that is done, 0..1.
        warmup: Share of the stage that warms up.
        floor: Factor at the end.
    """
    if progress < warmup:
        return max(progress / warmup, 0.02)
    done = min((progress - warmup) / (1 - warmup), 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


class MasterAdamW:
    """AdamW on float32 copies of the parameters.

    Small updates vanish in bfloat16, so the optimiser keeps float32 masters and rounds them into
    the model after each step.

    Args:
        modules: Named modules to train.
        rate: Learning rate at the schedule's peak.
        weight_decay: Decoupled decay of matrices; vectors are not decayed.
        clip: Largest global norm of the gradient; None leaves it as it is.
        betas: Adam's.
    """

    def __init__(
        self,
        modules: dict[str, nn.Module],
        rate: float,
        weight_decay: float = 0.02,
        clip: float | None = 1.0,
        betas: tuple[float, float] = (0.9, 0.98),
    ):
        self.rate, self.clip = rate, math.inf if clip is None else clip
        self.names: list[str] = []
        self.params: list[Tensor] = []
        for prefix, module in modules.items():
            for name, param in module.named_parameters():
                self.names.append(f"{prefix}.{name}")
                self.params.append(param)
        self.masters = [p.detach().float().clone() for p in self.params]
        groups = [
            {"params": [m for m in self.masters if m.ndim > 1], "weight_decay": weight_decay},
            {"params": [m for m in self.masters if m.ndim <= 1], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, lr=rate, betas=betas, foreach=True)

    def gather(self) -> None:
        """Add the model's gradients to those of the masters, in float32, and clear them."""
        for master, param in zip(self.masters, self.params, strict=True):
            if param.grad is not None:
                new = param.grad.float()
                master.grad = new if master.grad is None else master.grad + new
            param.grad = None

    def step(self, factor: float) -> float:
        """Apply the model's gradients and clear them; return their norm before clipping.

        Args:
            factor: Factor on the learning rate.
        """
        self.gather()
        norm = float(nn.utils.clip_grad_norm_(self.masters, self.clip))
        # A step whose gradient is not finite is left out rather than poisoning the weights.
        if math.isfinite(norm):
            for group in self.adam.param_groups:
                group["lr"] = self.rate * factor
            self.adam.step()
            self._round()
        for master in self.masters:
            master.grad = None
        return norm

    @torch.no_grad()
    def _round(self) -> None:
        torch._foreach_copy_(self.params, self.masters)

    def state(self) -> dict[str, Tensor]:
        """Return float32 masters and moments, shaped as their parameters, by name."""
        tensors = {f"master/{n}": m for n, m in zip(self.names, self.masters, strict=True)}
        for name, master in zip(self.names, self.masters, strict=True):
            for key, value in self.adam.state.get(master, {}).items():
                tensors[f"adam/{key}/{name}"] = value
        return tensors

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what ``state`` returned."""
        for name, master in zip(self.names, self.masters, strict=True):
            master.copy_(tensors[f"master/{name}"])
            moments = {
                key: tensors[f"adam/{key}/{name}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"adam/{key}/{name}" in tensors
            }
            if moments:
                self.adam.state[master] = {
                    k: v.to(master.device).clone() if k != "step" else v.clone()
                    for k, v in moments.items()
                }
        self._round()


def trainable(modules: Iterable[nn.Module], on: bool) -> None:
    """Switch gradients of whole modules on or off."""
    for module in modules:
        module.requires_grad_(on)
