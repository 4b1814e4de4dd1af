"""What a picture decoder learns from: pixels, features of a classifier, and a critic (RAE)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.agents.dexwm.model.efficientnet import EfficientNetLite0, load_efficientnet
from dexbench.agents.dexwm.model.encoder_specs import EFFICIENTNET

ENDS = (0, 2, 4, 10)
"""Blocks of EfficientNet whose features are compared: at a 2nd, 4th, 8th and 16th of the size."""
LARGEST = 1e4
"""Most that the critic's gradient is scaled up."""


class Perceptual(nn.Module):
    """How differently a classifier sees two pictures: as LPIPS, with all channels alike."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        model = load_efficientnet().model
        assert isinstance(model, EfficientNetLite0)
        self.network = model
        self.register_buffer("mean", torch.tensor(EFFICIENTNET.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(EFFICIENTNET.std).view(1, 3, 1, 1))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mean distance of pictures ``(B, 3, H, W)`` in 0..1, a scalar."""
        distance = first.new_zeros(())
        for one, two in zip(self.features(first), self.features(second), strict=True):
            distance = distance + (one - two).square().sum(1).mean()
        return distance / len(ENDS)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Return features of unit length at each position, from fine to coarse."""
        height, width = (16 * round(side / 14) for side in pictures.shape[2:])
        x = F.interpolate(pictures, (height, width), mode="bilinear", antialias=True)
        found = self.network.features((x - self.mean) / self.std)
        return [F.normalize(found[number], dim=1) for number in ENDS]


class Critic(nn.Sequential):
    """Tells drawn pictures ``(B, 3, H, W)`` from true ones, a logit for each patch (PatchGAN)."""

    def __init__(self, width: int = 48):
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for _ in range(2):
            layers += [nn.Conv2d(width, 2 * width, 4, 2, 1), nn.GroupNorm(8, 2 * width)]
            layers.append(nn.LeakyReLU(0.2))
            width *= 2
        super().__init__(*layers, nn.Conv2d(width, 1, 4, 1, 1))


def critic_loss(critic: nn.Module, true: Tensor, drawn: Tensor) -> Tensor:
    """Return the hinge loss of the critic: true pictures above 1, drawn ones below -1."""
    loss: Tensor = F.relu(1 - critic(true)).mean() + F.relu(1 + critic(drawn.detach())).mean()
    return loss / 2


def balance(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """Return the factor that makes both losses pull as hard at the decoder's last layer.

    Args:
        reconstruction: A scalar.
        adversarial: A scalar.
        last: Weights of that layer.
    """
    [wanted] = torch.autograd.grad(reconstruction, last, retain_graph=True)
    [given] = torch.autograd.grad(adversarial, last, retain_graph=True)
    factor: Tensor = (wanted.norm() / (given.norm() + 1e-4)).clamp(0, LARGEST).detach()
    return factor
