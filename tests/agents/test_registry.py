import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dexbench
from dexbench.agents.base import Agent, check_chunk
from dexbench.agents.planning.planner_config import PLANNERS
from dexbench.agents.registry import AGENTS, find_agent, make_agent
from dexbench.envs.embodiment.robot import HIGHEST, LOWEST
from dexbench.utils.errors import UserError


def test_hold_repeats_the_target() -> None:
    agent, spec = make_agent("hold", chunk=7)
    assert isinstance(agent, Agent) and spec.name == "hold" and not spec.privileged
    target = np.arange(23, dtype=np.float32)
    chunk = agent.act({"agent_target": target, "agent_pos": np.zeros(23, np.float32)})
    assert chunk.shape == (7, 23) and chunk.dtype == np.float32
    assert (chunk == target).all()


def test_only_the_ceilings_are_privileged() -> None:
    privileged = {name for name, spec in AGENTS.items() if spec.privileged}
    assert privileged == {"kinematic", "sim-cem", "oracle", "expert"}
    assert all(name == spec.name and spec.description for name, spec in AGENTS.items())


def test_a_file_in_place_of_a_module_is_pointed_out() -> None:
    with pytest.raises(UserError, match="'../lab/my_agent.py:Mine'; go .*: my_agent:Mine$"):
        find_agent("../lab/my_agent.py:Mine")


@pytest.mark.parametrize("module", ["nowhere_to_be_found", "no.where.to_be_found"])
def test_a_module_that_is_nowhere_is_told_with_the_folder(
    tmp_path: Path, monkeypatch: Any, module: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(UserError, match=f"looked in {tmp_path} and installed packages$"):
        make_agent(f"{module}:Mine")


@pytest.mark.parametrize("name", ["", "nosuch", "a b:C", "module:", ":Class", "a:b:c", "../x:C"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="there is no agent"):
        find_agent(name)


def test_a_module_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "here_only.py").write_text(
        "class Mine:\n"
        "    privileged = True\n"
        "    metadata = {'pretraining': 'videos'}\n"
        "    def reset(self, task, seed): ...\n"
        "    def act(self, obs): ...\n"
        "    def bind(self, env): ...\n"
        "class Blind:\n"
        "    privileged = True\n"
        "    reset = act = Mine.reset\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    _, spec = make_agent("here_only:Mine")
    assert spec.privileged and spec.pretraining == "videos"
    with pytest.raises(UserError, match="no method bind"):
        make_agent("here_only:Blind")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import nowhere_to_be_found", r"import broken: ModuleNotFoundError: .*broken.py:1\)"),
        ("x = (", r"broken: SyntaxError: '\(' was never closed \(broken.py, line 1\)$"),
        ("import json\njson.loads('')", r"broken: JSONDecodeError: .*"),
        ("1 / 0", r"cannot import broken: ZeroDivisionError: .*broken.py:1"),
        ("class Mine:\n def __init__(self): {}['k']", r"made: KeyError: 'k' .*broken.py:2"),
        ("class Mine:\n def __init__(self, size): pass", "made: TypeError: [^/]*'size'$"),
    ],
)
def test_an_agent_that_cannot_be_made_says_where(
    tmp_path: Path, monkeypatch: Any, body: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text(body)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "broken", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=message):
        make_agent("broken:Mine")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dexwm", {"dtype": "fp16"}, "dtype is 'fp16'"),
        ("dexwm", {"device": "gpu"}, "no device 'gpu'"),
        ("dexwm", {"tile": 0}, "tile must be 1 or more"),
        ("dexwm", {"cem": 3}, "cem must be a CEMConfig or a dict"),
        ("diffusion-policy", {"steps": 0}, "steps 0; choose one of ddpm, ddim, and 1 to 100"),
        ("diffusion-policy", {"scheduler": "euler"}, "scheduler is 'euler'"),
    ],
)
def test_bad_options_of_an_agent_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_agent(name, **options)


def test_a_planners_budget_may_be_a_dict() -> None:
    agent, _ = make_agent("kinematic", cem={"samples": 20})
    assert agent.config.cem == dataclasses.replace(PLANNERS["warm"].cem, samples=20)
    agent, _ = make_agent("kinematic", planner="paper", cem={"samples": 20})
    assert agent.config.cem == dataclasses.replace(PLANNERS["paper"].cem, samples=20)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.zeros(23), r"wrap a single target"),
        (np.zeros((0, 23)), "k >= 1"),
        (np.zeros((2, 22)), r"\(2, 22\)"),
        (None, "shape"),
        ((np.zeros((2, 23)), {}), r"a tuple whose parts .*, expected one array \(k, 23\)"),
        (np.full((2, 23), "x"), "dtype"),
        (np.full((2, 23), np.inf), "inf for joint 0 in row 0"),
    ],
)
def test_bad_chunks_are_named(chunk: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_chunk(chunk)


def test_rounding_beyond_a_joint_limit_is_clipped_and_more_is_left_to_be_refused() -> None:
    inside = np.linspace(LOWEST, HIGHEST, 5)
    assert np.array_equal(check_chunk(inside), inside.astype(np.float32))
    beyond = np.stack([LOWEST - np.float32(5e-7), HIGHEST + np.float32(5e-7)])
    assert np.array_equal(check_chunk(beyond), np.stack([LOWEST, HIGHEST]))
    further = np.stack([LOWEST - np.float32(5e-6), HIGHEST + np.float32(5e-6)])
    assert np.array_equal(check_chunk(further), further)


def test_importing_dexbench_registers_the_tasks_cheaply() -> None:
    code = (
        "import sys, os, gymnasium, dexbench, dexbench.agents.registry\n"
        "ids = [i for i in gymnasium.registry if i.startswith('dexbench/')]\n"
        "names = ('Reach', 'Grasp', 'Place', 'Push', 'Pick', 'Carry', 'Avoid')\n"
        "assert ids == [f'dexbench/{name}-v1' for name in names], ids\n"
        "assert not {'torch', 'mujoco'} & set(sys.modules)\n"
        "print(os.environ.get('MUJOCO_GL'))"
    )
    names = ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL")
    bare = {key: value for key, value in os.environ.items() if key not in names}
    for extra, expected in [
        ({}, "egl"),
        ({"DISPLAY": ":0"}, "None"),
        ({"MUJOCO_GL": "osmesa"}, "osmesa"),
    ]:
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={**bare, **extra},
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.stdout.strip() == expected


@pytest.mark.parametrize(
    "name", ["dexwm", "keypoint-fk", "diffusion-policy", "diffusion-policy-lift"]
)
def test_packaged_weights_are_those_of_the_published_rows(name: str) -> None:
    folder = Path(dexbench.__file__).parent / "results" / "v1" / name
    if not folder.is_dir():
        pytest.skip("results are not installed with the package")
    agent: Any = make_agent(name)[0]
    rows = [
        json.loads(line)
        for path in sorted(folder.rglob("trials.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len(rows) == 150
    assert {row["weights_hash"] for row in rows} == {agent.weights_hash}


def test_planners_that_cannot_be_are_refused_when_made() -> None:
    with pytest.raises(UserError, match="the simulator has no gradient"):
        make_agent("sim-cem", planner="gradient")
    with pytest.raises(UserError, match="the simulator has no gradient"):
        make_agent("oracle", planner="gradient")
