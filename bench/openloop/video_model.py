"""A video model beside the world models: what it makes of each window's first picture and a text.

It is told no actions. Its videos are kept beside the set (``kept``), one pair of files a window.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dexbench.utils.errors import UserError, at_least
from dexbench.utils.progress import track
from dexbench.utils.seeding import seed_for
from dexbench.utils.video import downsample, read_video

from . import cosmos
from .kept import keep, kept, place
from .windows import Windows

STEP = 64
"""The height is a multiple of it, so that both sides of a 4:7 picture are multiples of 16."""


@dataclass(frozen=True)
class VideoConfig:
    """Which video model is measured, and how its videos are made."""

    model: Path | None = None
    """Folder of Cosmos-Predict2 (Video2World); without one there is no such row."""
    prompt: str = (
        "A video from a fixed camera on the head of a robot, which looks down at a kitchen "
        "counter. The right arm of the robot, with a hand of four fingers, moves above the "
        "counter. The hand reaches for one of the objects there, touches it and moves it."
    )
    """What it is told, for all windows."""
    steps: int = 35
    """Steps of denoising, two or more."""
    height: int = 704
    """Height of its videos in px, a multiple of 64; they are as wide as 7/4 of it."""
    seed: int = 0
    """Names the noise, with the clip."""


class VideoModel:
    """Makes the videos that are not kept yet; its weights are loaded when the first is missing.

    Args:
        folder: Of Cosmos-Predict2.
        config: What it is told, and how its videos are made.
        device: Where it is run.

    Raises:
        UserError: The folder lacks something, or a setting is out of range.
    """

    def __init__(self, folder: Path, config: VideoConfig, device: torch.device):
        at_least(2, **{"video.steps": config.steps})
        if config.height < STEP or config.height % STEP:
            raise UserError(
                f"--video.height is {config.height}, expected a multiple of {STEP} such as 704"
            )
        self.folder, self.config, self.device = folder, config, device
        self.facts: dict[str, Any] = {
            "sha256": cosmos.weights_sha256(folder),
            "prompt": config.prompt,
            "steps": config.steps,
            "height": config.height,
            "seed": config.seed,
        }

    def predict(
        self, windows: Windows, size: tuple[int, int], seconds: list[float]
    ) -> NDArray[np.uint8]:
        """Return what it shows of each window at some times.

        Args:
            windows: Whose first pictures it is given.
            size: Height and width of the pictures in px.
            seconds: T times after the first picture. The video's nearest frame stands for each, at
                most 1/32 s from it.

        Returns:
            ``(N, T, *size, 3)``.

        Raises:
            UserError: As ``load_pipeline`` and ``sample``; a clip is damaged; or nothing can be
                written beside the set.
        """
        self._make(windows)
        pictures = []
        for row, start in zip(windows.rows, windows.starts, strict=True):
            video, arrays = kept(self._place(windows, row, start))
            apart = np.abs(np.subtract.outer(seconds, arrays["seconds"]))
            pictures.append(downsample(video[apart.argmin(1)], size))
        return np.stack(pictures)

    def _make(self, windows: Windows) -> None:
        """Make and keep what is missing."""
        missing = [
            (row, start)
            for row, start in zip(windows.rows, windows.starts, strict=True)
            if not self._place(windows, row, start).is_file()
        ]
        if not missing:
            return
        pipeline = cosmos.load_pipeline(self.folder, self.device)
        times = np.arange(cosmos.FRAMES) / cosmos.RATE
        for row, start in track(missing, "making videos", unit="window"):
            path = windows.store.file(row, "mp4")
            try:
                first = read_video(path)[start]
            except (OSError, ValueError, IndexError) as error:
                raise windows.store.damaged(path, error) from error
            seed = seed_for("openloop", "video", self.config.seed, row["id"], start)
            frames = cosmos.sample(
                pipeline, first, self.config.prompt, self.config.steps, self.config.height, seed
            )
            here = self._place(windows, row, start)
            keep(here, list(frames), {"seconds": times}, fps=cosmos.RATE)

    def _place(self, windows: Windows, row: dict[str, Any], start: int) -> Path:
        """Return where a window's video is kept."""
        return place(windows.store.root, ["video", self.facts, row["mp4"], row["id"], start])
