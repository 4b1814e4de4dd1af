import json
import shutil
from types import SimpleNamespace

import pytest

from dexbench.envs.scenes.layouts import LAYOUTS
from dexbench.envs.scenes.objects import INSTANCES
from dexbench.envs.scenes.recipe import draw_recipe
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.scenes.styles import STYLES
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import TASKS, Playback, bank, draw
from dexbench.envs.tasks.bank import BANK, Bank
from dexbench.envs.tasks.base import OBJECT_PIXELS
from dexbench.utils.errors import UserError

MOST_BYTES = 15e6
"""What the packaged bank may take."""


def scene_of(trial):
    return Scene(trial.xml, trial.objects, trial.instances, trial.recipe)


@pytest.fixture(scope="module")
def folder(trials, tmp_path_factory):
    """A bank with reach trials 3 and 7, and one of place in scene 7's kitchen too."""
    root = tmp_path_factory.mktemp("bank")
    made = Bank(root)
    made.hashes = {"reach": {}, "place": {7: trials["place"].hash}}
    for number, task in ((3, "reach"), (7, "place")):
        made.save_scene(number, scene_of(trials[task]))
    made.save_trial(7, trials["place"])
    made.save_trial(3, trials["reach"])
    made.hashes["reach"][3] = trials["reach"].hash
    made.rejected = {"reach": {0: "no luck"}}
    made.save_index()
    return root


@pytest.fixture
def copy(folder, tmp_path):
    """The bank, to be damaged."""
    return shutil.copytree(folder, tmp_path / "bank")


def test_a_trial_is_read_as_it_was_written(folder, trials):
    read = Bank(folder)
    assert read.numbers("reach") == [3] and read.numbers("place") == [7]
    assert read.numbers("lift") == []
    assert read.rejected == {"reach": {0: "no luck"}}
    assert read.trial("place", 7).hash == trials["place"].hash
    assert read.scene(3) == scene_of(trials["reach"])
    assert (folder / "place/007.npz").stat().st_size < 8000, "the kitchen is stored once"


def test_the_same_bank_has_the_same_bytes(folder, tmp_path, trials):
    again = Bank(tmp_path)
    again.save_scene(3, scene_of(trials["reach"]))
    again.save_trial(3, trials["reach"])
    for file in ("scenes/003.json.gz", "reach/003.npz"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def test_a_folder_without_an_index_is_an_empty_bank(tmp_path):
    assert Bank(tmp_path / "none").numbers("reach") == []


@pytest.mark.parametrize("text", ["{", "[]", '{"trials": {}}', '{"trials": {"reach": {"x": 1}}}'])
def test_a_damaged_index_is_told(copy, text):
    (copy / "bank.json").write_text(text)
    with pytest.raises(UserError, match=r"bank.json is damaged .*reinstall"):
        Bank(copy)


def test_a_trial_that_is_not_the_recorded_one_is_refused(copy, trials):
    index = json.loads((copy / "bank.json").read_text())
    index["trials"]["reach"]["3"] = trials["place"].hash
    (copy / "bank.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="not the one that bank.json records"):
        Bank(copy).trial("reach", 3)


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8bnothing"])
def test_a_scene_that_is_missing_or_damaged_is_told(copy, content):
    path = copy / "scenes/007.json.gz"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match="scene .*007.json.gz is missing or damaged"):
        Bank(copy).trial("place", 7)


def test_a_seed_gives_the_same_trial_in_any_order(folder):
    first = [Bank(folder).draw(TASKS["place"], seed).hash for seed in (4, 5)]
    again = [Bank(folder).draw(TASKS["place"], seed).hash for seed in (5, 4)]
    assert first == again[::-1]
    assert first[0] != first[1]


def test_seeds_spread_over_the_trials(monkeypatch):
    picked = []
    monkeypatch.setattr(bank, "redraw", lambda trial, *_: picked.append(trial))
    some = Bank(BANK / "none")
    some.hashes = {"reach": dict.fromkeys((2, 3, 5), "")}
    monkeypatch.setattr(some, "trial", lambda task, number: number)
    for seed in range(60):
        some.draw(TASKS["reach"], seed)
    assert {number: picked.count(number) > 9 for number in picked} == {2: True, 3: True, 5: True}


def test_a_task_without_a_bank_and_who_asks_for_it_draws_a_kitchen(folder, monkeypatch):
    monkeypatch.setattr(Bank, "packaged", staticmethod(lambda: Bank(folder)))
    monkeypatch.setattr(draw, "draw_trial", lambda task, key, split, kitchen: (key, split, kitchen))
    fresh = (("train", 9), "train", draw_recipe)
    assert draw.training_trial(SimpleNamespace(name="lift"), 9) == fresh
    assert draw.training_trial(TASKS["place"], 9, fresh=True) == fresh
    kitchen = draw.KITCHENS["robocasa"]
    assert draw.training_trial(TASKS["place"], 9, kitchen) == (("train", 9), "train", kitchen)
    trial = draw.training_trial(TASKS["place"], 9)
    assert trial.recipe["redrawn"] == ["train", 9]


def test_the_packaged_bank_shows_training_things_only():
    packaged = Bank.packaged()
    numbers = {number for hashes in packaged.hashes.values() for number in hashes}
    for number in numbers:
        recipe = packaged.scene(number).recipe
        assert recipe["split"] == LAYOUTS[recipe["layout"]].split == "train"
        assert STYLES[recipe["style"]].split == "train"
        assert {INSTANCES[name].split for name in packaged.scene(number).instances} == {"train"}
    frozen = {
        Suite.load(name).trial_hash(task, index)
        for name in Suite.names()
        for task in Suite.load(name).tasks
        for index in range(Suite.load(name).trials(task))
    }
    assert not frozen & {text for hashes in packaged.hashes.values() for text in hashes.values()}


def test_the_packaged_bank_is_complete_and_small():
    packaged = Bank.packaged()
    assert {task: len(packaged.numbers(task)) for task in TASKS} == dict.fromkeys(TASKS, 80)
    files = [path for path in BANK.rglob("*") if path.is_file()]
    expected = {BANK / "bank.json"}
    for task in packaged.hashes:
        for number in packaged.numbers(task):
            assert packaged.trial(task, number).task == task
            expected |= {packaged.scene_path(number), packaged.trial_path(task, number)}
    assert set(files) == expected
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_expert_solves_what_seeds_draw_and_the_target_is_mostly_in_view(task):
    packaged, rules = Bank.packaged(), TASKS[task]
    hidden = []
    for seed in range(1000, 1020):
        trial = packaged.draw(rules, seed)
        simulation = Simulation(trial.xml, trial.objects)
        for state, robot in ((trial.start_state, True), (trial.goal_state, rules.goal_shows_robot)):
            simulation.set_state(state)
            counts = simulation.segment(robot)
            seen = [counts[name] for name in trial.objects]
            if (seen[0] if rules.views_target else max(seen)) < OBJECT_PIXELS:
                hidden.append(seed)
        assert Playback(rules, trial, simulation).solves(trial.expert_actions), seed
        simulation.close()
    assert len(hidden) <= 2, hidden  # another object, or the moved hand, may be before it
