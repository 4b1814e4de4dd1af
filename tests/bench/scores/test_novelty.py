from dataclasses import replace

import pytest

from dexbench.bench.ledger.entries import Entry
from dexbench.bench.scores.novelty import Count, find_new, is_new, tally
from dexbench.envs.scenes.layouts import LAYOUTS
from dexbench.envs.suite import Suite


def entry(suite: str = "v1", digest: str | None = None, trials: int = 50) -> Entry:
    rows = [
        {
            "task": "grasp",
            "suite": suite,
            "trial": index,
            "success": index % 3 == 0,
            "suite_hash": digest or Suite.load("v1").hash,
        }
        for index in range(trials)
    ]
    return Entry("agent", "grasp", False, rows)


def test_training_draws_none_of_what_is_called_new() -> None:
    from dexbench.envs.scenes.recipe import draw_recipe
    from dexbench.utils.seeding import rng

    drawn = [draw_recipe(rng("test", index), "train") for index in range(300)]
    layouts = {recipe["layout"] for recipe in drawn}
    styles = {recipe["style"] for recipe in drawn}
    kinds = {recipe["objects"][0]["instance"].rpartition("_")[0] for recipe in drawn}
    suite = Suite.load("v1")
    for index in range(50):
        trial = suite.trial("grasp", index)
        assert is_new(trial) == {
            "layout": trial.recipe["layout"] not in layouts,
            "style": trial.recipe["style"] not in styles,
            "kind of object": trial.instances[0].rpartition("_")[0] not in kinds,
        }


def test_every_trial_is_counted_once_in_each_aspect() -> None:
    played = entry()
    new = find_new([played])
    counts = tally(played, new)
    for aspect in ("layout", "style", "kind of object"):
        seen, unseen = counts[aspect, False], counts[aspect, True]
        assert seen.played + unseen.played == 50 and min(seen.played, unseen.played) > 5
        assert seen.solved + unseen.solved == 17
    assert tally(played, {trial: dict.fromkeys(kinds, True) for trial, kinds in new.items()})[
        "style", False
    ] == Count(0, 0)


def test_other_suites_are_not_split() -> None:
    assert find_new([entry("of my own")]) == {}
    assert find_new([entry(digest="another")]) == {}
    assert find_new([entry(trials=51)]) == {}


def test_robocasas_own_kitchens_are_of_neither_sort() -> None:
    trial = Suite.load("v1").trial("reach", 0)
    with pytest.raises(KeyError):
        is_new(replace(trial, recipe=trial.recipe | {"layout": 12}))
    assert 12 not in LAYOUTS
