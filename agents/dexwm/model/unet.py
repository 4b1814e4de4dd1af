"""A small U-Net: a picture to a picture of the same size, each pixel by what is around it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import NORM_GROUPS


class Conv(nn.Sequential):
    """A 3x3 convolution, group normalisation, GELU."""

    def __init__(self, channels: int, out: int, stride: int = 1):
        convolution = nn.Conv2d(channels, out, 3, stride, padding=1)
        super().__init__(convolution, nn.GroupNorm(NORM_GROUPS, out), nn.GELU())


class UNet(nn.Module):
    """See the module's docstring. Its output starts at ``bias`` everywhere.

    Normalisation would cost most at full resolution, and so there is none there.

    Args:
        channels: Of the input.
        out: Of the output.
        widths: Channels at full, half, quarter and eighth resolution.
        bias: Where the output starts.
    """

    def __init__(
        self, channels: int, out: int, widths: tuple[int, int, int, int], bias: float = 0.0
    ):
        super().__init__()
        full, half, quarter, eighth = widths
        self.first = nn.Conv2d(channels, full, 3, padding=1)
        self.halve = nn.Conv2d(full, half, 2, stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(Conv(wide, narrow, 2), Conv(narrow, narrow), Conv(narrow, narrow))
            for wide, narrow in ((half, quarter), (quarter, eighth))
        )
        self.up = nn.ModuleList(
            (
                nn.Sequential(Conv(quarter + eighth, quarter), Conv(quarter, quarter)),
                nn.Sequential(Conv(half + quarter, half), Conv(half, half)),
            )
        )
        self.enlarge = nn.ConvTranspose2d(half, full, 2, stride=2)
        self.last = nn.Conv2d(2 * full, full, 3, padding=1)
        self.out = nn.Conv2d(full, out, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, out, H, W)``; H and W are even."""
        full = F.gelu(self.first(x.contiguous(memory_format=torch.channels_last)))
        skips, x = [], F.gelu(self.halve(full))
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(torch.cat([skip, F.interpolate(x, skip.shape[-2:])], 1))
        x = F.gelu(self.last(torch.cat([full, self.enlarge(x)], 1)))
        out: Tensor = self.out(x)
        return out
