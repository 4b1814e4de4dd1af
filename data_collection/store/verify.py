"""`dexbench data verify`: finds everything that is damaged, missing or left over in episode sets.

Nothing is changed. A recorded episode is a pure function of the set's settings and its number, so
that the mend is nearly always to collect again, which keeps what is whole.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dexbench import __version__
from dexbench.envs.assets.cache import PACK_VERSION
from dexbench.utils.errors import UserError
from dexbench.utils.files import DRAFT, file_sha256
from dexbench.utils.progress import track

from .layouts import salvage
from .manifest import INFO, MANIFEST, info_bytes, read_info, sha256
from .store import EpisodeStore


@dataclass(frozen=True)
class VerifyConfig:
    """Check every byte of episode sets; exits with 1 if anything is wrong. Changes nothing."""

    sets: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of sets."""


@dataclass(frozen=True)
class Problem:
    """Something wrong in a set."""

    where: str
    """The file, relative to the set."""
    what: str
    """What is wrong with it."""
    mend: str
    """What to do about it."""


def main(config: VerifyConfig) -> None:
    """Print every problem with its mend.

    Raises:
        UserError: A folder holds no episode set.
        SystemExit: With code 1 if there are problems.
    """
    if not config.sets:
        raise UserError("name at least one episode set")
    by_set = {root: verify(root, progress=True) for root in config.sets}
    for root, problems in by_set.items():
        for problem in problems:
            print(f"{root / problem.where}: {problem.what}; mend: {problem.mend}")
        print(f"{root}: {summary(root, problems)}")
    if any(by_set.values()):
        raise SystemExit(1)


def summary(root: Path, problems: list[Problem]) -> str:
    """Return one line on a set that was verified."""
    if problems:
        return f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    store = salvage(root)
    text = f"{sum(1 for _ in store.rows())} episodes, all whole"
    if store.info["schema"] == 1:
        text += (
            " as far as schema 1 tells: it has no checksums of dataset.json and manifest lines;"
            f" `dexbench data merge {root} --out NEW` makes a copy with them"
        )
    return text


def verify(root: Path, progress: bool = False) -> list[Problem]:
    """Everything that is wrong in a set.

    Args:
        root: The set's folder.
        progress: Whether to show a bar when stderr is a terminal.

    Raises:
        UserError: The folder holds no set, or one of a later dexbench.
    """
    if not (root / MANIFEST).exists() and not (root / "episodes").is_dir():
        read_info(root)  # says so if this is no set at all
    store = salvage(root)
    lines = list(store.lines())
    rows = [row for row in lines if row is not None]
    fault = _info_fault(store, rows)
    # Rows tell too, in case dataset.json is lost.
    merged = "sources" in store.info or any("source" in row for row in rows)
    again = (
        "make it of its sources again, into another folder"
        if merged
        else _collect_again(store.root, {} if fault else store.info, rows)
    )
    faults = [(INFO, fault)] if fault else []
    faults += [(MANIFEST, text) for text in _manifest_faults(root, lines)]
    for row, wrong in track(damaged(store, rows), "verify", len(rows), show=progress, unit="ep"):
        faults += [(name, f"{text} (episode {row['id']})") for name, text in wrong.items()]
    problems = [Problem(name, text, again) for name, text in faults]
    # A merged set is whole from the start: nothing that is left over could be needed by it.
    mend_leftover = "nothing needs it: delete it" if merged else again
    for path in store.unlisted():
        draft = "is a draft: a run was killed while writing it, or is writing it now"
        text = draft if DRAFT.fullmatch(path.name) else "belongs to no episode of the manifest"
        problems.append(Problem(str(path.relative_to(root)), text, mend_leftover))
    return problems


def require_whole(store: EpisodeStore) -> None:
    """Verify a set that another is to be made of.

    Raises:
        UserError: Something is wrong with it.
    """
    if verify(store.root, progress=True):
        raise UserError(
            f"{store.root} is not whole; `dexbench data verify {store.root}` says how to mend it"
        )


def damaged(
    store: EpisodeStore, rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    """Yield each episode with what is wrong with its files, by name relative to the set."""
    models: dict[str, str] = {}
    for row in rows:
        wrong = {}
        for kind in store.kinds:
            path = store.file(row, kind)
            name = str(path.relative_to(store.root))
            if kind == "model_gz":
                # Many episodes share a scene, which is read once.
                if name not in models:
                    models[name] = _model_fault(path, row)
                text = models[name]
            else:
                text = _fault(path, row.get(kind))
            if text:
                wrong[name] = text
        yield row, wrong


def _fault(path: Path, expected: str | None) -> str:
    """Return what is wrong with a file, nothing if it is as it was written."""
    if not path.is_file():
        return "is missing"
    try:
        return "" if file_sha256(path) == expected else "is damaged or cut short"
    except OSError as error:
        return f"cannot be read ({error})"


def _model_fault(path: Path, row: dict[str, Any]) -> str:
    if "model_gz" in row or not path.is_file():
        return _fault(path, row.get("model_gz"))
    try:  # schema 1 knows the text only
        intact = sha256(gzip.decompress(path.read_bytes())) == row["model"]
    except (OSError, EOFError, zlib.error):
        intact = False
    return "" if intact else "is damaged or cut short"


def _info_fault(store: EpisodeStore, rows: list[dict[str, Any]]) -> str:
    """Return what is wrong with dataset.json, of which manifest lines hold the checksum."""
    path = store.root / INFO
    if not path.exists():
        return "is missing"
    recorded = {row["set"] for row in rows if "set" in row}
    if recorded - {file_sha256(path)}:
        return "is damaged, or is not the one that the episodes were recorded under"
    if not store.info and recorded:
        read_info(store.root)  # it is as it was written, by a dexbench that writes another schema
    return "" if store.info and info_bytes(store.info) == path.read_bytes() else "is damaged"


def _manifest_faults(root: Path, lines: list[dict[str, Any] | None]) -> Iterator[str]:
    """Yield what is wrong with the manifest by itself."""
    for number, row in enumerate(lines, 1):
        if row is None:
            yield f"line {number} is damaged"
    path = root / MANIFEST
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        yield "the last line is cut short"
    ids = [row["id"] for row in lines if row is not None]
    for index in sorted(set(range(max(ids, default=-1) + 1)) - set(ids)):
        yield f"episode {index} is missing"
    for index, times in sorted(Counter(ids).items()):
        if times > 1:
            yield f"episode {index} is listed {times} times"
    if ids != sorted(ids):
        yield "episodes are out of order"


def _collect_again(root: Path, info: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """Return what mends a set."""
    if not info:
        return f"give the `dexbench collect --out {root} ...` command that made the set again"
    if info["schema"] == 1:
        return "collect the set anew, into another folder"
    versions = info["dexbench"], info["assets"]
    named = ", with the dexbench that recorded the set (version {}, asset pack {})".format(
        *versions
    )
    with_dexbench = "" if versions == (__version__, PACK_VERSION) else named
    size = "x".join(map(str, info["image_size"]))
    names = (path.stem for path in (root / "episodes").glob("[0-9]*.h5"))
    last = max([row["id"] for row in rows] + [int(name) for name in names if name.isdigit()] + [0])
    return (
        f"`dexbench collect --out {root} --strategy {info['strategy']} --seed {info['seed']} "
        f"--episodes {last + 1} --size {size}` makes again what is not whole{with_dexbench}"
    )
