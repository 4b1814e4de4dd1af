"""What every command says on a machine that fails: one line, exit code 2, nothing half-written."""

import errno
import multiprocessing.synchronize
import os
import shutil
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.broken_machine import fail, no_room
from support.run_fake import COMMANDS as WITH_FAKE_RUN
from support.runs import run_fake
from support.small_set import episode, threads
from support.submissions import honest
from support.synthetic_store import write_store
from support.trainings import SMALL

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.decoder import save_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.bench import cli, listing
from dexbench.bench.diagnose import diagnose
from dexbench.bench.diagnose.record import Decision
from dexbench.bench.diagnose.waypoints import COLUMNS
from dexbench.bench.show import view
from dexbench.bench.show.film import Film
from dexbench.bench.submit.submission import encode, unpack
from dexbench.data_collection.coverage import page
from dexbench.data_collection.export import robomimic
from dexbench.data_collection.record import collect
from dexbench.data_collection.record.config import CollectConfig
from dexbench.data_collection.record.fill import Recording
from dexbench.data_collection.record.strategies import CLIPS
from dexbench.data_collection.sets import rerender
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs import suite
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.robot import DRIVERS

COMMANDS = {
    **WITH_FAKE_RUN,
    "collect": ("support.small_set:collect_small", ""),
    "submit": ("support.submissions:submit_from_memory", ""),
    "check": ("support.submissions:check_from_memory", ""),
}
STATED = "--authors me --training-data none --hardware cpu --against OUT"
TABLETOP = "--driver tabletop --calibration CAMERA.json"
NODS = "--agent support.real_robot:Nods --limits.answer 60"
RESULTS = Path(cli.__file__).parents[1] / "results" / "v1"

WRITES = {
    "run": "--agent hold --task reach --trials 1 --out OUT",
    "collect": "--strategy programmatic --episodes 1 --workers 1 --out OUT",
    "data preview": "SET --out OUT/preview.png",
    "data report": "SET --clips 1 --out OUT/report.html",
    "data merge": "SET --out OUT/merged",
    "data rerender": "SET --out OUT",
    "data pack": "SET --out OUT/pack.zip",
    "data slim": "SET --workers 1 --out OUT/slim",
    "data index": "SET --out OUT/index.json",
    "data export": "SET --format robomimic --out OUT/set.hdf5",
    "suite build": "--name mine --trials 1 --tasks reach --out OUT",
    "train dexwm": "--data SET --out OUT/model.safetensors",
    "train diffusion-policy": "--data SET --out OUT/policy.safetensors",
    "train keypoint-layer": "--data SET --no-objects --out OUT/layer.safetensors",
    "openloop": "--data LONG --weights MODEL.safetensors --interval 4 --strips 1 --out OUT/open",
    "train decoder": "--data SET --weights dexwm --out OUT/decoder.safetensors",
    "ablate": "--data SET --evaluate SET --out OUT/ablate",
    "leaderboard": "--ledgers LEDGERS --csv OUT/table.csv",
    "report": f"{RESULTS}/hold {RESULTS}/random --out OUT/report.html",
    "real calibrate": f"{TABLETOP} --out OUT/calibration.png",
    "real look": f"{TABLETOP} --out OUT/goal.png",
    "real run": f"{TABLETOP} {NODS} --trials 1 --waypoints 1 --yes --out OUT",
    "real tolerance": f"{NODS} --driver tabletop --trials 1 --latency 0 --camera-shift 0 --out OUT",
    "diagnose": "--agent kinematic --task reach --out OUT/diagnosis.csv",
    "submit": f"MINE --out OUT/mine.submission {STATED}",
    "check": "MINE/mine.submission --against OUT --accept OUT",
    "view": "--out OUT/trials.png",
    "speed control": "",
}
"""Commands that write below OUT, or below the cache, which is there too."""
READS = {
    "data info": "SET",
    "data verify": "SET",
    "data preview": "SET --out OUT/preview.png",
    "data report": "SET --out OUT/report.html",
    "data merge": "SET --out OUT/merged",
    "data rerender": "SET --out OUT",
    "data pack": "SET --out OUT/pack.zip",
    "data slim": "SET --out OUT/slim",
    "data index": "SET --out OUT/index.json",
    "data export": "SET --format robomimic --out OUT/set.hdf5",
    "train dexwm": "--data SET --out OUT/model.safetensors",
    "train diffusion-policy": "--data SET --out OUT/policy.safetensors",
    "train keypoint-layer": "--data SET --no-objects --out OUT/layer.safetensors",
    "train decoder": "--data SET --weights dexwm --out OUT/decoder.safetensors",
    "leaderboard": "--ledgers LEDGERS --csv OUT/table.csv",
    "openloop": "--data SET --out OUT/openloop",
    "ablate": "--data SET --evaluate SET --out OUT/ablate",
    "compare": "LEDGERS --task reach",
    "report": "LEDGERS --out OUT/report.html",
    "verify": "LEDGERS",
    "submit": f"MINE --out OUT/mine.submission {STATED}",
    "check": "MINE/mine.submission --against OUT",
    "real calibrate": f"{TABLETOP} --out OUT/calibration.png",
    "real look": f"{TABLETOP} --out OUT/goal.png",
    "real run": f"{TABLETOP} {NODS} --yes --out OUT",
    "view": "--agent hold --ledgers LEDGERS --out OUT/trials.png",
    "list": "",
    "speed data": "SET",
}
"""Commands that read below SET, LEDGERS, MINE or CAMERA; the list reads the suites."""
NO_FILES = {"doctor", "speed planner", "speed rollouts"}
"""The doctor tells of errors as findings; a random model is in no file."""
ATOMIC = (
    *("leaderboard", "report", "submit", "check"),
    *("diagnose", "data preview", "data report", "data pack", "real calibrate", "real look"),
)
RESUMED = ("run", "collect", "real run")


def record(config: CollectConfig, index: int) -> list[dict[str, Any]]:
    store = EpisodeStore(config.out)
    keys = range(index * CLIPS, (index + 1) * CLIPS)
    return [store.write(key, episode(key)) | {"scene": index} for key in keys]


FULL_SIZE = Recording(record, threads)
"""Clips of four frames of full size."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: Any) -> Path:
    """A folder with two episode sets, two ledgers, one that was submitted, a model's weights."""
    root = tmp_path_factory.mktemp("inputs")
    write_store(root / "LONG", episodes=2, frames=42)
    save_model(root / "MODEL.safetensors", DexWMModel(SMALL))
    save_decoder(root / "MODEL.safetensors", PixelDecoder(SMALL))
    collect.main(CollectConfig(root / "SET", "programmatic", 12, workers=1), FULL_SIZE)
    for agent in ("hold", "support.fake:Wander"):
        run_fake(root / "LEDGERS", agent, trials=2)
    Calibration.nominal().save(root / "CAMERA.json")
    unpack(honest().plays, root / "MINE")
    (root / "MINE" / "mine.submission").write_bytes(encode(honest()))
    return root


@pytest.fixture(autouse=True)
def quick(monkeypatch: Any, tmp_path: Path) -> None:
    """What takes long, and comes before anything is written, is left out."""
    monkeypatch.chdir(tmp_path)
    row = {**dict.fromkeys(COLUMNS), "task": "reach", "decision": 0, "left_cm": 1.0}
    diagnosis = SimpleNamespace(identity={}, decisions=lambda: [Decision(row, None)])
    monkeypatch.setattr(diagnose, "Diagnosis", lambda config: diagnosis)
    colour = np.zeros((20, 30, 3), np.uint8)
    film = Film("one", colour, (colour,) * 2, (True,) * 2)
    monkeypatch.setattr(page, "render", lambda stores, clips: "<html></html>")
    monkeypatch.setattr(robomimic, "write", lambda root, draft, *_: draft.write_bytes(b"x"))
    monkeypatch.setattr(rerender, "check_camera", lambda model, name: None)
    monkeypatch.setattr(view, "shoot", lambda play, every_step: film)
    monkeypatch.setitem(DRIVERS, "tabletop", "support.real_robot:JudgingArm")


def words_of(command: str, options: str, inputs: Path, out: Path) -> list[str]:
    named = ("SET", "LEDGERS", "MINE", "LONG", "MODEL", "CAMERA")
    places = {**{name: inputs / name for name in named}, "OUT": out}
    words = options.split()
    for name, place in places.items():
        words = [
            word.replace(name, str(place)) if word.startswith(name) else word for word in words
        ]
    return [*command.split(), *words]


def complaint_of(words: list[str], capsys: Any) -> str:
    """The one line that a command says of a broken machine."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main(words, COMMANDS)
    _, err = capsys.readouterr()
    assert stop.value.code == 2, err
    assert err.startswith("dexbench: error: ") and err.count("\n") == 1, err
    assert "; " in err, f"it does not say what to do: {err}"
    return str(err)


def test_every_command_is_among_these() -> None:
    assert {*WRITES, *READS, *NO_FILES} == set(cli.COMMANDS)


@pytest.mark.parametrize("command", WRITES)
@pytest.mark.parametrize(
    ("operations", "number"),
    [
        ("mkdir", errno.EROFS),
        ("mkdir", errno.ENOTDIR),
        ("open io.open os.open", errno.EMFILE),
        ("replace rename", errno.EACCES),
        ("fsync", errno.EIO),
        ("flock", errno.ENOLCK),
        ("flock", errno.EOPNOTSUPP),
        ("write", errno.EFBIG),
    ],
)
def test_what_cannot_be_written_is_named(
    command: str,
    operations: str,
    number: int,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
) -> None:
    first = operations.split()[0]
    trains, builds = command.startswith("train"), command in ("suite build", "speed control")
    if (trains and first not in ("mkdir", "open")) or (builds and first != "mkdir"):
        pytest.skip("the first thing it writes is a folder; the rest takes minutes")
    if first == "flock" and command not in RESUMED:
        pytest.skip("it locks nothing")
    out = tmp_path / "OUT"
    if command == "speed control":
        monkeypatch.setenv("DEXBENCH_CACHE", str(out))
    words = words_of(command, WRITES[command], inputs, out)
    with no_room() if operations == "write" else nullcontext(), monkeypatch.context() as patch:
        if operations != "write":
            fail(patch, operations, number, out)
        complaint = complaint_of(words, capsys)
    assert str(out) in complaint and os.strerror(number) in complaint
    drafts = [path for path in out.rglob("*") if path.name.endswith(".tmp")] if out.exists() else []
    assert not drafts
    if command in ATOMIC:
        assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.parametrize("command", READS)
@pytest.mark.parametrize("operations", ["open io.open os.open", "scandir"])
def test_what_cannot_be_read_is_named(
    command: str,
    operations: str,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
) -> None:
    out = tmp_path / "OUT"
    place = suite.SUITES if command == "list" else inputs
    walks = ("leaderboard", "compare", "report", "verify", "submit")
    if operations == "scandir" and command not in walks:
        pytest.skip("it looks into no folder")
    words = words_of(command, READS[command], inputs, out)
    with monkeypatch.context() as patch:
        fail(patch, operations, errno.EACCES, place, reading=True)
        complaint = complaint_of(words, capsys)
    assert str(place) in complaint and "Permission denied" in complaint
    assert not out.exists() or not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.parametrize("command", WRITES)
def test_a_file_where_a_folder_should_be_is_named(
    command: str, inputs: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """The system's own error."""
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "OUT"
    monkeypatch.setenv("DEXBENCH_CACHE", str(out)) if command == "speed control" else None
    assert str(out) in complaint_of(words_of(command, WRITES[command], inputs, out), capsys)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("collect", "--strategy programmatic --episodes 1 --out OUT"),
        ("suite build", "--name mine --trials 1 --tasks reach --out OUT"),
        ("verify", f"{RESULTS}/hold"),
    ],
)
def test_shared_memory_that_cannot_be_written_is_named(
    command: str, options: str, inputs: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    """Processes share locks, which Linux keeps in /dev/shm."""

    def refuse(*args: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setitem(COMMANDS, "collect", cli.COMMANDS["collect"])
    locks = SimpleNamespace(SemLock=refuse, sem_unlink=None)
    monkeypatch.setattr(multiprocessing.synchronize, "_multiprocessing", locks)
    assert "/dev/shm" in complaint_of(words_of(command, options, inputs, tmp_path / "OUT"), capsys)
    assert not (tmp_path / "OUT" / "mine").exists()


def test_a_run_out_of_files_says_how_to_have_more(
    inputs: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socketpair", refuse)
    words = words_of("run", WRITES["run"], inputs, tmp_path / "OUT")
    assert "ulimit -n" in complaint_of(words, capsys)


@pytest.mark.parametrize("words", [["list"], ["--version"]])
def test_output_that_cannot_be_written_is_one_line(words: list[str]) -> None:
    """As where it goes to a file on a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    program = f"from dexbench.bench.cli import main; main({words})"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "output" in done.stderr and ": No space left on device; " in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("command", WRITES)
def test_a_folder_that_is_read_only_is_named(
    command: str, inputs: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o500)
    out = tmp_path / "locked" / "OUT"
    monkeypatch.setenv("DEXBENCH_CACHE", str(out)) if command == "speed control" else None
    assert str(out) in complaint_of(words_of(command, WRITES[command], inputs, out), capsys)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("command", ["leaderboard", "compare", "report", "verify"])
def test_a_ledger_that_cannot_be_seen_is_not_left_out(
    command: str, inputs: Path, tmp_path: Path, capsys: Any
) -> None:
    shutil.copytree(inputs / "LEDGERS", tmp_path / "LEDGERS")
    hidden = tmp_path / "LEDGERS" / "v1" / "hold"
    hidden.chmod(0)
    words = words_of(command, READS[command], tmp_path, tmp_path / "OUT")
    complaint = complaint_of(words, capsys)
    hidden.chmod(0o700)
    assert str(hidden) in complaint


def test_a_mistake_in_the_code_still_shows_where_it_is(monkeypatch: Any) -> None:
    for mistake in (OSError(errno.EBADF, "Bad file descriptor"), TypeError("no such method")):

        def fault(config: listing.ListConfig, mistake: Exception = mistake) -> None:
            raise mistake

        monkeypatch.setattr(listing, "main", fault)
        with pytest.raises(type(mistake)):
            cli.main(["list"])
