import importlib.metadata
import json
import os
import platform
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dexbench.agents.dexwm.model import checkpoint
from dexbench.bench.machine import doctor, opengl
from dexbench.bench.machine.doctor import DoctorConfig, Finding
from dexbench.bench.machine.opengl import Tried, attempt
from dexbench.envs import suite
from dexbench.envs.robocasa import robosuite_patches
from dexbench.utils.errors import UserError

CONFIG = DoctorConfig(timeout=300)  # Long: other tests may keep the machine busy.
BACKEND = os.environ.get("MUJOCO_GL") or "glfw"


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    assert bool(finding.mend) or finding.status != "fail"
    return finding


def test_a_sound_installation_has_its_versions() -> None:
    findings = [*doctor.check_python(CONFIG), *doctor.check_packages(CONFIG)]
    assert [finding.name for finding in findings] == ["python", *doctor.PACKAGES]
    assert {finding.status for finding in findings} == {"ok"}
    assert findings[1].text.startswith(importlib.metadata.version("mujoco"))


def test_another_python_fails(monkeypatch: Any) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: "3.10.4")
    finding = only(doctor.check_python(CONFIG))
    assert finding.status == "fail" and "3.10.4, <3.13,>=3.11 is allowed" in finding.text


@pytest.mark.parametrize("installed", ["3.4.1", None])
def test_another_mujoco_fails(monkeypatch: Any, installed: str | None) -> None:
    version = importlib.metadata.version

    def pretend(name: str) -> str:
        if name == "mujoco" and installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return str(installed) if name == "mujoco" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", pretend)
    mujoco, *others = doctor.check_packages(CONFIG)
    assert mujoco.status == "fail" and mujoco.text.startswith(installed or "not installed")
    assert mujoco.mend == "pip install 'mujoco<3.4,>=3.3.1'"
    assert {finding.status for finding in others} == {"ok"}


def test_a_frame_is_rendered_in_another_process() -> None:
    tried = attempt(BACKEND, CONFIG.timeout)
    assert isinstance(tried, Tried) and tried.renderer and 0 < tried.seconds < 100


def test_a_nonsensical_backend_fails_and_a_working_one_is_named(monkeypatch: Any) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    monkeypatch.setattr(opengl, "mend", lambda backend, timeout: f"not {backend}")
    finding = only(doctor.check_opengl(CONFIG))
    assert finding.status == "fail" and finding.mend == "not nonsense"
    assert "invalid value for environment variable MUJOCO_GL: nonsense" in finding.text


@pytest.mark.parametrize(
    ("code", "timeout", "reason"),
    [
        ("import ctypes; ctypes.string_at(0)", 300, "rendering crashed with SIGSEGV"),
        ("import time; time.sleep(1000)", 1, "no picture within 1 s"),
        ("raise SystemExit('no display')", 300, "rendering ended with no display"),
        ("pass", 300, "rendering ended with exit code 0"),
        ('print(\'{"error": "ImportError: no EGL"}\')', 300, "ImportError: no EGL"),
    ],
)
def test_crashes_and_hangs_are_survived(
    monkeypatch: Any, code: str, timeout: float, reason: str
) -> None:
    monkeypatch.setattr(opengl, "PROBE", code)
    monkeypatch.setattr(opengl, "mend", lambda backend, timeout: "install it")
    finding = only(doctor.check_opengl(DoctorConfig(timeout)))
    assert finding.status == "fail" and finding.text.startswith(reason)


def test_a_picture_that_shows_nothing_is_no_picture(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(opengl, "SCENE", opengl.SCENE.replace('group="1"', 'group="2"'))
    opengl.probe()
    assert "a red box was rendered as" in json.loads(capsys.readouterr().out)["error"]


def test_the_cure_is_a_backend_that_works_if_there_is_one(monkeypatch: Any) -> None:
    working = Tried("llvmpipe", 0.1, "Mesa")
    monkeypatch.setattr(opengl, "attempt", lambda name, _: working if name == "osmesa" else "no")
    assert opengl.mend("egl", 1) == "`export MUJOCO_GL=osmesa`, which works here"
    assert "apt-get install" in opengl.mend("osmesa", 1)


@pytest.mark.parametrize(
    ("renderer", "gpus", "backend", "status", "word", "mend"),
    [
        ("llvmpipe (LLVM 15.0.6)", [], "egl", "ok", "software", ""),
        ("llvmpipe (LLVM 15.0.6)", ["nvidia0"], "egl", "note", "software", "10_nvidia.json"),
        ("llvmpipe (LLVM 15.0.6)", ["nvidia0"], "osmesa", "note", "software", "MUJOCO_GL=egl"),
        ("NVIDIA L4/PCIe/SSE2", ["nvidia0"], "egl", "ok", "hardware", ""),
    ],
)
def test_software_rendering_beside_a_gpu_is_noted(
    monkeypatch: Any,
    renderer: str,
    gpus: list[str],
    backend: str,
    status: str,
    word: str,
    mend: str,
) -> None:
    monkeypatch.setenv("MUJOCO_GL", backend)
    monkeypatch.setattr(opengl, "attempt", lambda *_: Tried(renderer, 0.0123, "Maker"))
    monkeypatch.setattr(doctor, "gpu_devices", lambda: gpus)
    finding = only(doctor.check_opengl(CONFIG))
    assert finding.status == status and mend in finding.mend and bool(mend) == bool(finding.mend)
    assert f"{renderer}, {word}, by Maker, 0.0123 s" in finding.text


def test_a_gpu_that_pytorch_does_not_see_is_noted(monkeypatch: Any) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "gpu_devices", lambda: [])
    assert only(doctor.check_gpu(CONFIG)).status == "ok"
    monkeypatch.setattr(doctor, "gpu_devices", lambda: ["nvidia0"])
    finding = only(doctor.check_gpu(CONFIG))
    assert finding.status == "note" and "CUDA build" in finding.mend
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "L4")
    memory = SimpleNamespace(total_memory=24e9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: memory)
    assert only(doctor.check_gpu(CONFIG)).text == "L4, 24 GB"


def test_the_asset_pack_is_there_or_built_later_or_cannot_be(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEXBENCH_CACHE", str(tmp_path / "cache"))
    finding = only(doctor.check_assets(CONFIG))
    assert finding.status == "note" and str(tmp_path / "cache" / "assets-") in finding.text
    root = tmp_path / "cache" / f"assets-{doctor.cache.PACK_VERSION}"
    root.mkdir(parents=True)
    assert only(doctor.check_assets(CONFIG)).status == "note", "an interrupted build"
    (root / "wall.png").write_bytes(bytes(3_000_000))
    (root / "again.png").hardlink_to(root / "wall.png")
    (root / "complete").touch()
    finding = only(doctor.check_assets(CONFIG))
    assert finding.status == "ok" and finding.text == f"3 MB in {root}"
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").touch()  # A file where the folder should be.
    finding = only(doctor.check_assets(CONFIG))
    assert finding.status == "fail" and "DEXBENCH_CACHE" in finding.mend


def test_robocasas_own_assets_are_there_or_not_needed(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor.robocasa, "package_folder", lambda name: tmp_path / "package")
    monkeypatch.delenv(doctor.robocasa.VARIABLE, raising=False)
    finding = only(doctor.check_robocasa(CONFIG))
    assert finding.status == "ok" and "without" in finding.text and not finding.mend
    monkeypatch.setenv(doctor.robocasa.VARIABLE, str(tmp_path))
    finding = only(doctor.check_robocasa(CONFIG))
    assert finding.status == "note" and "textures" in finding.text and "--type" in finding.mend
    (tmp_path / "textures").mkdir()
    finding = only(doctor.check_robocasa(CONFIG))
    assert finding.status == "ok" and finding.text.endswith(f"in {tmp_path}")


@pytest.mark.parametrize(("free", "status"), [(5e9, "ok"), (5e8, "note"), (5e7, "fail")])
def test_a_full_disk_fails(monkeypatch: Any, free: float, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    finding = only(doctor.check_disk(CONFIG))
    assert finding.status == status and finding.text.startswith(f"{free / 1e9:.1f} GB free at /")


def test_missing_or_damaged_weights_fail(monkeypatch: Any, tmp_path: Path) -> None:
    findings = list(doctor.check_weights(CONFIG))
    assert [finding.status for finding in findings] == ["ok"] * 4
    assert [finding.text.split(",")[0] for finding in findings] == [
        "dexwm dexwm.safetensors",
        "dexwm scratch.safetensors",
        "diffusion_policy exploration.safetensors",
        "diffusion_policy lift.safetensors",
    ]
    path = tmp_path / "dexwm.safetensors"
    monkeypatch.setattr(checkpoint, "PACKAGED", {"dexwm": path})
    finding, *others = doctor.check_weights(CONFIG)
    assert finding.status == "fail" and finding.text == f"no weights at {path}"
    assert all(other.status == "ok" for other in others)
    path.write_bytes(b"torn")
    finding, *_ = doctor.check_weights(CONFIG)
    assert finding.status == "fail" and "is damaged" in finding.text
    assert finding.mend.startswith("reinstall")


def test_a_damaged_suite_fails_by_itself(monkeypatch: Any, tmp_path: Path) -> None:
    source = suite.SUITES / "v1"
    hashes = json.loads((source / "suite.json").read_text())["trials"]["reach"][:2]
    for name in ("bad", "good"):
        (tmp_path / name / "reach").mkdir(parents=True)
        suite.write_index(tmp_path / name, {"reach": hashes}, {})
        for index in (0, 1):
            shutil.copy(source / "reach" / f"{index:03d}.npz", tmp_path / name / "reach")
    monkeypatch.setattr(suite, "SUITES", tmp_path)
    assert [finding.status for finding in doctor.check_suites(CONFIG)] == ["ok", "ok"]
    trial = tmp_path / "bad" / "reach" / "001.npz"
    for content, word in [
        (trial.with_name("000.npz").read_bytes(), "is not the one that suite bad records"),
        (trial.read_bytes()[:500], "is damaged"),
    ]:
        trial.write_bytes(content)
        bad, good = doctor.check_suites(CONFIG)
        assert bad.status == "fail" and str(trial) in bad.text and word in bad.text and bad.mend
        assert good.status == "ok" and good.text.startswith("2 trials as recorded")
    (tmp_path / "bad" / "suite.json").write_text("{")
    bad, _ = doctor.check_suites(CONFIG)
    assert bad.status == "fail" and "suite.json is damaged" in bad.text
    monkeypatch.setattr(suite, "SUITES", tmp_path / "none")
    assert only(doctor.check_suites(CONFIG)).status == "fail"


def test_the_packaged_suites_are_sound() -> None:
    assert {finding.status for finding in doctor.check_suites(CONFIG)} == {"ok"}


def test_cores_that_cannot_be_used_are_noted(monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    monkeypatch.setattr(doctor, "cpu_quota", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert only(doctor.check_cores(CONFIG)).status == "ok"
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    finding = only(doctor.check_cores(CONFIG))
    assert finding.status == "note" and "unset OMP_NUM_THREADS" in finding.mend
    monkeypatch.setattr(doctor, "cpu_quota", lambda: 1.5)
    finding = only(doctor.check_cores(CONFIG))
    assert finding.status == "note" and "--workers 1 " in finding.mend


def test_a_check_that_breaks_is_a_failure_and_stops_no_other(monkeypatch: Any, capsys: Any) -> None:
    def check_thing(config: DoctorConfig) -> Iterator[Finding]:
        raise ImportError("libthing.so.1 is missing")

    def check_other(config: DoctorConfig) -> Iterator[Finding]:
        yield Finding("note", "other", "is\n  fine", "nothing")

    monkeypatch.setattr(doctor, "CHECKS", (check_thing, check_other))
    with pytest.raises(SystemExit) as stop:
        doctor.main(CONFIG)
    assert stop.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "fail  thing              ImportError: libthing.so.1 is missing"
    assert lines[1].split()[:2] == ["mend:", "reinstall"]
    assert lines[2:] == ["note  other              is fine", f"{'':25}mend: nothing"]
    monkeypatch.setattr(doctor, "CHECKS", (check_other,))
    doctor.main(CONFIG)  # Exits with 0.
    with pytest.raises(UserError, match="--timeout is 0"):
        doctor.main(DoctorConfig(0))


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: Any) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("DEXBENCH_CACHE", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_disk, doctor.check_assets))
    for finding in doctor.examine(CONFIG):
        assert finding.status == "fail" and finding.text.startswith("there is no home folder")
        assert finding.mend == "set DEXBENCH_CACHE to a folder that can be written"


def test_a_robosuite_that_refuses_is_a_failure(monkeypatch: Any) -> None:
    assert only(doctor.check_robosuite(CONFIG)).status == "ok"

    def refuse() -> None:
        raise AssertionError("MUJOCO_EGL_DEVICE_ID needs to be set to one of the device id")

    monkeypatch.setattr(robosuite_patches, "import_robosuite", refuse)
    finding = only(doctor.check_robosuite(CONFIG))
    assert finding.status == "fail" and "MUJOCO_EGL_DEVICE_ID needs" in finding.text
    assert "unset CUDA_VISIBLE_DEVICES" in finding.mend
