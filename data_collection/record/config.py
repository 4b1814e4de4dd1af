"""What ``dexbench collect`` is asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dexbench.data_collection.store.layouts import OTHERS
from dexbench.utils.video import parse_size


@dataclass(frozen=True)
class CollectConfig:
    """Record exploration data in training kitchens, by script."""

    out: Path
    """Folder of the set; a set that is there already is continued."""
    strategy: Literal[
        "lift", "lift-noise", "programmatic", "play", "waypoints", "egohand", "gripper"
    ] = "lift-noise"
    """How the robot is driven. lift-noise and programmatic are the paper's (4.5); lift, play and
    waypoints are other ways. Two are stand-ins for other people's data, in their layouts: egohand
    shows two human hands (EgoDex), gripper a Panda with a parallel gripper (DROID)."""
    episodes: int | None = None
    """Clips to record (rounded up to whole scenes)."""
    hours: float | None = None
    """Time to record, in h; give this or --episodes."""
    workers: int = 0
    """Processes; 0 means one a core that may be used. The data do not depend on it."""
    kitchen: Literal["generated", "robocasa"] = "generated"
    """Whose kitchens: generated ones, or RoboCasa's own, whose assets are a download of 10 GB."""
    seed: int = 0
    """Names the random streams; another seed gives another set."""
    size: str | None = None
    """Height and width of the pictures in px; by default 224x392, which models here are trained on,
    and 224x398 with egohand and gripper. All but these can be rendered again: data rerender."""
    executor: Literal["local", "ray"] = "local"
    """Where the workers are: on this machine, or on those of a Ray cluster. dexbench must be on all
    of them, and --out an absolute path to a folder that they share."""
    ray_address: str | None = None
    """Address of the Ray cluster; by default that in $RAY_ADDRESS, or one made of this machine."""


def picture_size(config: CollectConfig) -> tuple[int, int]:
    """Return height and width in px of a set's pictures.

    Raises:
        UserError: --size makes no pictures.
    """
    return parse_size(config.size or ("224x398" if config.strategy in OTHERS else "224x392"))
