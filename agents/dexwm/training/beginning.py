"""What is refused before a training begins, and what a run must share with the one it continues."""

from pathlib import Path
from typing import Any

from dexbench.agents.dexwm.model.decoder import decoder_path
from dexbench.agents.learning.disk import check_file, check_folder
from dexbench.agents.learning.settings import identity
from dexbench.utils.errors import UserError

from .config import TrainConfig
from .networks import Networks
from .recipe import TrainingRecipe


def check_parts(size: int, accumulate: int) -> None:
    """Refuse a batch, of which each process has ``size``, that cannot be cut into equal parts."""
    if size % accumulate:
        raise UserError(
            f"a process's {size} pictures or windows of a batch cannot be cut into {accumulate} "
            "equal parts; make --images a multiple of --accumulate times the processes, and "
            "--clips of twice that"
        )


def check_places(config: TrainConfig, work: Path) -> None:
    """Refuse places that could not be written to, before time goes into training."""
    check_file("--out", config.out)
    check_file("--out", decoder_path(config.out))
    check_folder("--work", work)
    if config.features is not None:
        check_folder("--features", config.features)


def run_identity(
    config: TrainConfig, recipe: TrainingRecipe, networks: Networks, digest: str
) -> dict[str, Any]:
    """Return what a run must share to continue another.

    Args:
        config: Resolved settings.
        recipe: How it draws and steps.
        networks: With the sha256 of the weights that it begins with.
        digest: Of the data.
    """
    facts = identity(config) | networks.sources
    facts["model"] = config.model.settings()
    facts["digest"] = digest
    facts["recipe"] = recipe.settings()
    # Written only where they are on: checkpoints from before these settings stay valid.
    if config.end_to_end:
        facts["end_to_end"] = True
    if config.features is not None:
        facts["features"] = True
    if config.model.object_map:
        facts["object_weight"] = config.object_weight
    if config.data_shares is not None:
        facts["data_shares"] = config.data_shares
    return facts
