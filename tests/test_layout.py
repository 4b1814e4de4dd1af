"""The house: every folder is a package that ships, and imports run one way."""

import ast
import configparser
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("utils", "envs", "data_collection", "agents", "bench", "testing")
"""From the ground up: a module may import its own floor and those below it."""
SOURCES = {
    path: path.relative_to(ROOT).as_posix()
    for floor in FLOORS
    for path in [*(ROOT / floor).rglob("*.py"), *ROOT.glob(f"{floor}.py")]
}
MODULES = {
    ".".join(("dexbench", *path.relative_to(ROOT).with_suffix("").parts)): path for path in SOURCES
}


def imported(path: Path) -> set[str]:
    """The dexbench modules that a file imports, inside functions too."""
    package = ("dexbench", *path.relative_to(ROOT).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            name = ".".join((*base, *([node.module] if node.module else [])))
            for alias in node.names:
                whole = f"{name}.{alias.name}"
                found.add(whole if whole in MODULES else name)
    return {name for name in found if name.split(".")[0] == "dexbench"}


def room(module: str) -> str:
    """What holds a module: its folder, or itself where the folder is a floor."""
    parts = module.split(".")[1:]
    if len(parts) > 1 and parts[0] in ("agents", "bench", "data_collection", "envs"):
        folder = ROOT.joinpath(*parts[:2])
        return "/".join(parts[:2]) + ("" if folder.is_dir() else ".py")
    return parts[0] if parts else ""


def arrows() -> dict[str, set[str]]:
    """For each room, those that its modules import from."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        here = room(module.removesuffix(".__init__"))
        there = {room(name) for name in imported(path)} - {here, ""}
        found.setdefault(here, set()).update(there)
    return found


def test_every_folder_with_code_is_a_package_that_ships() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    folders = {path.parent.relative_to(ROOT) for path in SOURCES}
    assert listed == {".".join(("dexbench", *folder.parts)) for folder in folders}
    assert all((ROOT / folder / "__init__.py").exists() for folder in folders)


def test_no_module_imports_upward() -> None:
    for module, path in MODULES.items():
        here = FLOORS.index(module.split(".")[1])
        for name in imported(path):
            parts = name.split(".")
            if len(parts) > 1 and parts[1] in FLOORS:
                assert FLOORS.index(parts[1]) <= here, f"{SOURCES[path]} imports {name}, above it"


def test_no_rooms_import_each_other_in_a_circle() -> None:
    try:
        tuple(TopologicalSorter(arrows()).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_no_modules_import_each_other_in_a_circle() -> None:
    inside = {name: imported(path) & MODULES.keys() for name, path in MODULES.items()}
    try:
        tuple(TopologicalSorter(inside).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


READ_BY_AGENTS = ("dexbench.data_collection.store", "dexbench.data_collection.readers")


def test_agents_take_nothing_of_data_collection_but_its_store_and_readers() -> None:
    for module, path in MODULES.items():
        if module.split(".")[1] == "agents":
            taken = {n for n in imported(path) if n.startswith("dexbench.data_collection")}
            assert all(name.startswith(READ_BY_AGENTS) for name in taken), module


def test_no_test_imports_another() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node, "module", None) if isinstance(node, ast.ImportFrom) else None
            assert not re.search(r"(^|\.)test_\w+$", name or ""), f"{path} imports {name}"


@pytest.mark.parametrize("heavy", ["torch", "mujoco", "robosuite", "matplotlib", "pandas"])
def test_importing_dexbench_is_light(heavy: str) -> None:
    code = (
        f"import sys, dexbench, dexbench.envs, dexbench.agents; sys.exit({heavy!r} in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


FACES = ("envs", "agents", "bench", "data_collection", "utils")
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("agents/*/weights/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_documents_import_from_faces_only(page: Path) -> None:
    allowed = {"dexbench", "dexbench.testing", *(f"dexbench.{face}" for face in FACES)}
    pattern = r"^\s*(?:from|import) (dexbench[\w.]*)"
    assert set(re.findall(pattern, page.read_text(), re.MULTILINE)) <= allowed


@pytest.mark.parametrize("face", FACES)
def test_what_a_face_lists_is_there(face: str) -> None:
    # In a process of its own: RoboCasa must not be there before dexbench has patched it.
    code = (
        f"import dexbench.{face} as face; assert face.__all__;"
        "[getattr(face, name) for name in face.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300)
