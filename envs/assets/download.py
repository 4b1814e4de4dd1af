"""The user's own RoboCasa download (about 10 GB): where it is, and what to say when it is not.

RoboCasa's command unpacks it into the installed package; ``ROBOCASA_ASSETS_PATH`` names another
place. Nothing here imports RoboCasa.
"""

import os
from pathlib import Path

from dexbench.utils.errors import UserError
from dexbench.utils.files import chosen_folder
from dexbench.utils.packages import package_folder

VARIABLE = "ROBOCASA_ASSETS_PATH"
"""RoboCasa's own name of the variable that holds the folder."""
COMMAND = "python -m robocasa.scripts.download_kitchen_assets --type"

PARTS = {
    "textures": "tex",
    "generative_textures": "tex_generative",
    "fixtures": "fixtures_lw",
    "objects/objaverse": "objs_objaverse",
    "objects/aigen_objs": "objs_aigen",
    "objects/lightwheel": "objs_lw",
}
"""Folders of the download, and what RoboCasa's command calls them."""
_NEEDED = ("textures", "fixtures/sinks", "objects/objaverse", "objects/lightwheel")


def robocasa_root() -> Path:
    """Return the root of the user's RoboCasa assets.

    Raises:
        UserError: Nothing has been downloaded to where they are expected.
    """
    root = _expected()
    if not (root / "textures").is_dir():
        raise missing(root, *(name for name in _NEEDED if not (root / name).exists()))
    return root


def task_root() -> Path | None:
    """Return the assets for RoboCasa's own tasks: the user's if named or downloaded, else None."""
    root = _expected()
    return root if os.environ.get(VARIABLE) or (root / "textures").is_dir() else None


def missing(root: Path, *names: str) -> UserError:
    """Return the error to raise where ``names``, files or folders below ``root``, are missing."""
    parts = [
        part
        for folder, part in PARTS.items()
        if any(Path(name).is_relative_to(folder) for name in names)
    ]
    cure = f"fetch with `{COMMAND} {' '.join(parts or ['all'])}` (all of it: 10 GB)"
    place = package_folder("robocasa") / "models" / "assets"
    what = f"RoboCasa's assets are incomplete: {', '.join(names)} missing in {root}"
    if os.environ.get(VARIABLE):
        return UserError(f"{what}, which {VARIABLE} names; {cure}, which fills {place}")
    return UserError(f"{what}; {cure}, or set {VARIABLE} to the folder of a download")


def _expected() -> Path:
    return chosen_folder(VARIABLE) or package_folder("robocasa") / "models" / "assets"
