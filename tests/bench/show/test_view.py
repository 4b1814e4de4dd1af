from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio.v3 as imageio
import mujoco
import numpy as np
import pytest
from PIL import Image

from dexbench.bench.ledger.actions import actions_hash
from dexbench.bench.ledger.ledger import Ledger
from dexbench.bench.show import view, window
from dexbench.bench.show.film import LINE, MARGIN, REST, Film, Play, moving, sheet, shoot
from dexbench.bench.show.view import ViewConfig, find_play, find_plays
from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.trial import STEPS
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

READY = np.concatenate([READY_ARM, OPEN_HAND])
TRIAL: Any = SimpleNamespace(hash="abc", expert_actions=np.ones((60, 23), np.float32))


def write_actions(folder: Path, trial_hash: str = "abc", **row: Any) -> np.ndarray:
    actions = np.tile(READY, (STEPS, 1)).astype(np.float32)
    row = {"trial": 3, "trial_hash": trial_hash, "success": True, "error": None} | row
    with Ledger(folder / "v1" / "my.Agent" / "reach") as ledger:
        ledger.append({"actions_hash": actions_hash(actions)} | row, actions)
    return actions


def colour(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def film(title: str, goal: int, *values: int) -> Film:
    return Film(title, colour(goal), tuple(map(colour, values)), tuple(v > 50 for v in values))


def test_every_picture_is_where_its_title_says() -> None:
    page = sheet([film("one", 20, 10, 99, 30), film("two", 40, 40, 40)])
    assert page.shape == (LINE + 2 * (LINE + 20 + 2 * MARGIN), 3 * (30 + 2 * MARGIN), 3)
    top = 2 * LINE + MARGIN
    for column, value in enumerate((10, 20, 30)):
        left = column * (30 + 2 * MARGIN) + MARGIN
        assert (page[top : top + 20, left : left + 30] == value).all()
    assert (page[top + 20 + 2 * MARGIN + LINE, MARGIN] == 40).all()
    assert page[:LINE].min() < 60 and page[0, 0, 0] == 255  # black text on white


def test_a_film_shows_every_step_beside_the_goal() -> None:
    pictures = moving([film("one", 20, 10, 60), film("two", 40, 11, 12, 13)])
    assert len(pictures) == 3 + REST
    assert pictures[0].shape == (2 * (LINE + 20 + MARGIN), 2 * 30 + 2 * MARGIN, 3)
    pitch = LINE + 20 + MARGIN
    for time, (one, two) in enumerate([(10, 11), (60, 12), (60, 13), (60, 13)]):
        for row, (now, goal) in enumerate([(one, 20), (two, 40)]):
            line = pictures[time][row * pitch + LINE + 5]
            assert (line[MARGIN : MARGIN + 30] == now).all(), "a film that is over shows its end"
            assert (line[MARGIN + 30 : MARGIN + 60] == goal).all()
    title = [picture[:LINE].astype(int) for picture in pictures[:2]]
    green = [((t[..., 1] - t[..., 0]) > 50).any() for t in title]
    assert green == [False, True], "green while the criterion holds"
    assert moving([film("many", 20, 10)] * 3)[0].shape == (2 * (LINE + 10 + MARGIN), 76, 3)


def test_actions_come_from_the_suite_or_the_ledger(tmp_path: Path) -> None:
    actions = write_actions(tmp_path)
    expert = find_play(ViewConfig(ledgers=tmp_path), "reach", TRIAL, 3)
    assert expert.actions is TRIAL.expert_actions
    config = ViewConfig(agent="my:Agent", ledgers=tmp_path)
    assert np.array_equal(find_play(config, "reach", TRIAL, 3).actions, actions)
    with pytest.raises(UserError, match="holds no trial 4 of my:Agent.* --task reach --suite v1"):
        find_play(config, "reach", TRIAL, 4)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"trial_hash": "def"}, "another build of suite v1"),
        ({"actions_hash": "0" * 16}, "not what its row was scored with"),
    ],
)
def test_actions_of_another_trial_are_refused(tmp_path: Path, row: Any, why: str) -> None:
    write_actions(tmp_path, **row)
    with pytest.raises(UserError, match=why):
        find_play(ViewConfig(agent="my:Agent", ledgers=tmp_path), "reach", TRIAL, 3)


def test_a_ledger_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "v1" / "my.Agent" / "reach"
    folder.mkdir(parents=True)
    (folder / "trials.jsonl").write_text('{"trial": 3, "success": true}\n')
    for options in ({}, {"examples": True}):
        config = ViewConfig("reach", (3,), agent="my:Agent", ledgers=tmp_path, **options)
        with pytest.raises(UserError, match="a row lacks actions_hash, error, trial_hash"):
            list(find_plays(config))


def test_objects_in_the_hand_need_place_trials(tmp_path: Path, monkeypatch: Any) -> None:
    suite = SimpleNamespace(name="mine", trials=lambda task: 0)
    monkeypatch.setattr(view, "Suite", SimpleNamespace(load=lambda name: suite))
    with pytest.raises(UserError, match="suite mine has no place trials"):
        view.main(ViewConfig(scenes="held", out=tmp_path / "held.png"))


def test_examples_are_a_success_and_a_failure(tmp_path: Path, monkeypatch: Any) -> None:
    solved = {1: False, 2: True, 4: False, 5: True}
    for trial, success in solved.items():
        write_actions(tmp_path, trial=trial, success=success)
    suite = SimpleNamespace(tasks=("reach",), trial=lambda task, index: TRIAL)
    monkeypatch.setattr(view, "Suite", SimpleNamespace(load=lambda name: suite))
    config = ViewConfig(task="reach", agent="my:Agent", ledgers=tmp_path, examples=True)
    titles = [play.title for play in find_plays(config)]
    assert titles == ["reach, trial 2, my:Agent", "reach, trial 1, my:Agent"]
    with pytest.raises(UserError, match="holds no trials"):
        list(find_plays(ViewConfig(task="grasp", ledgers=tmp_path, examples=True)))
    with pytest.raises(UserError, match="leave --agent and --examples out"):
        list(find_plays(ViewConfig(seeds=(1,), agent="my:Agent")))


@pytest.mark.parametrize("ending", ["png", "mp4", "webp"])
def test_the_command_writes_a_picture_or_a_film(
    tmp_path: Path, monkeypatch: Any, capsys: Any, ending: str
) -> None:
    suite = SimpleNamespace(tasks=("reach", "grasp", "place"), trial=lambda task, index: TRIAL)
    monkeypatch.setattr(view, "Suite", SimpleNamespace(load=lambda name: suite))
    monkeypatch.setattr(
        view, "shoot", lambda play, every_step: film(f"{play.title}: success", 9, 7, 8)
    )
    out = tmp_path / "docs" / f"tasks.{ending}"
    view.main(ViewConfig(trials=(0, 4), out=out))
    if ending == "png":
        assert imageio.imread(out).shape == (LINE + 6 * (LINE + 20 + 2 * MARGIN), 114, 3)
    elif ending == "mp4":
        assert read_video(out).shape == (2 + REST, 3 * (LINE + 10 + MARGIN), 76, 3)
    else:
        with Image.open(out) as animation:
            assert getattr(animation, "n_frames", 1) > 1 and animation.size == (
                76,
                3 * (LINE + 10 + MARGIN),
            )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "reach, trial 0, expert: success" and lines[-1] == f"wrote {out}"
    with pytest.raises(UserError, match="cannot write"):
        view.main(ViewConfig(task="reach", out=out / f"below.{ending}"))
    with pytest.raises(UserError, match="must end in .png, .mp4 or .webp"):
        view.main(ViewConfig(out=tmp_path / "tasks.gif"))
    assert [path.name for path in out.parent.iterdir()] == [out.name], "a draft was left"
    if ending != "png":
        with pytest.raises(UserError, match="24 trials at most, not 75"):
            view.main(ViewConfig(trials=tuple(range(25)), out=out))
        with pytest.raises(UserError, match="--scenes makes a picture"):
            view.main(ViewConfig(scenes="held", out=out))


def test_the_experts_film_ends_in_success() -> None:
    trial = Suite.load("v1").trial("grasp", 0)
    film = shoot(Play("grasp", "grasp, trial 0", trial, trial.expert_actions), every_step=True)
    assert film.title.startswith("grasp, trial 0: success")
    assert len(film.frames) == len(film.holds) == len(trial.expert_actions) + 1
    assert film.holds[-1] and not film.holds[0]
    start, end = (np.abs(film.frames[i] - film.goal.astype(int)).mean() for i in (0, -1))
    assert end < start, "the end is more like the goal"


def test_the_viewer_needs_a_screen_and_plays_until_it_is_closed(monkeypatch: Any) -> None:
    trial = Suite.load("v1").trial("grasp", 0)
    play = Play("grasp", "grasp, trial 0", trial, trial.expert_actions[:3])
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(window.sys, "platform", "linux")
    with pytest.raises(UserError, match="needs a screen"):
        window.show(play)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("glfw.init", lambda: True)
    seen: list[np.ndarray] = []

    def launch(model: Any, data: Any, **_: bool) -> Any:
        mujoco.mj_forward(model, data)  # As the real one does.
        return nullcontext(
            SimpleNamespace(
                opt=SimpleNamespace(geomgroup=np.ones(6)),
                cam=SimpleNamespace(lookat=np.zeros(3), distance=0.0, elevation=0.0),
                is_running=lambda: len(seen) < 3,
                lock=nullcontext,
                sync=lambda: seen.append(data.qpos.copy()),
            )
        )

    monkeypatch.setattr("mujoco.viewer.launch_passive", launch)
    window.show(play)
    simulation = Simulation(trial.xml, trial.objects)
    simulation.set_state(trial.start_state)
    for action, there in zip(play.actions, seen, strict=True):
        simulation.step(action)
        assert np.array_equal(simulation.data.qpos, there), "not the recorded play"
    monkeypatch.setattr("glfw.init", lambda: False)
    with pytest.raises(UserError, match="finds no screen"):
        window.show(play)


def test_a_play_shows_the_goal_that_its_agent_saw(tmp_path: Path) -> None:
    write_actions(tmp_path, hide_robot=True)
    play = find_play(ViewConfig(agent="my:Agent", ledgers=tmp_path), "reach", TRIAL, 3)
    assert play.hide_robot
    trial = Suite.load("v1").trial("place", 0)
    simulation = Simulation(trial.xml, trial.objects)
    simulation.set_state(trial.goal_state)
    shown, hidden = simulation.render(), simulation.render(robot=False)
    simulation.close()
    still = np.tile(READY, (1, 1)).astype(np.float32)
    for task, hide, goal in (
        ("place", False, shown),
        ("place", True, hidden),
        ("carry", False, hidden),
    ):
        film = shoot(Play(task, "", trial, still, hide_robot=hide), every_step=False)
        assert np.array_equal(film.goal, goal)
