"""Installed packages, found without importing them."""

import importlib.util
from pathlib import Path


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, found without importing it.

    Raises:
        ModuleNotFoundError: If it is not installed.
    """
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"{name} is not installed; `pip install dexbench` brings the tested version"
        )
    return Path(spec.origin).parent
