"""Cells that train a step or two on a tiny set."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from support.recorded import write_droid, write_egodex
from support.synthetic_store import write_store

from dexbench.agents.dexwm.cost_config import cost_config
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.training.config import TrainConfig, resolve
from dexbench.agents.learning.weights import read_tensors
from dexbench.bench.ablate import main as ablate
from dexbench.bench.ablate.cells import CELLS, FIGURES
from dexbench.bench.ablate.main import AblateConfig, main
from dexbench.utils.errors import UserError


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_store(folder / "seen", episodes=4, frames=44)
    write_store(folder / "unseen", episodes=3, frames=44, seed=1)
    return folder


def config(sets, out, **changes):
    usual = AblateConfig(
        (sets / "seen",),
        (sets / "unseen",),
        out=out,
        figures=("intervals",),
        steps=(1, 1),
        clips=1,
        layer_steps=2,
        objects=False,
        windows=2,
        interval=0.8,
        threads=1,
    )
    return dataclasses.replace(usual, **changes)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_one_that_can_be_trained_and_played(name):
    cell = CELLS[name]
    assert cell.weights is None or CELLS[cell.weights].weights is None
    cost_config(dict(cell.cost), "predicted")
    model = dataclasses.replace(ModelConfig(), **cell.model)
    settings = {"recipe": "fine", "encoder": "dexwm", **cell.training}
    resolved, _ = resolve(TrainConfig(data=(Path("x"),), model=model, **settings))
    assert resolved.first_stage == 1


def test_every_figure_compares_cells_with_the_same_one():
    names = [name for figure in FIGURES.values() for name in figure.cells]
    assert set(names) == set(CELLS)
    assert all(figure.cells[0] == "base" for figure in FIGURES.values())


@pytest.mark.slow
def test_a_figure_is_trained_measured_and_not_made_again(sets, tmp_path, monkeypatch):
    out = tmp_path / "ablation"
    main(config(sets, out))
    text = (out / "intervals.md").read_text()
    assert "seen, 1 steps from true states and 1 rolled out, 1 clips a batch" in text
    values, differences = text.split("Difference from the first cell")
    assert values.count("seed 0 |") == 2 and differences.count("seed 0 |") == 1
    for source in ("copy", "shuffled", "no action", "truth"):
        assert values.count(f"*{source}*") == 1, "floors once an encoder"
    evaluation = json.loads((out / "openloop" / "intervals" / "openloop.json").read_text())
    base, even = evaluation["models"]
    assert base["layer_sha256"] == even["layer_sha256"] != None  # noqa: E711
    assert base["history"] == even["history"] == 7
    assert base["encoder_sha256"] == even["encoder_sha256"]
    pck = {
        row["model"]: row["value"]
        for row in evaluation["rows"]
        if (row["source"], row["measure"], row["seconds"]) == ("model", "latent_l2", "mean")
    }
    assert f"{pck['base-0']:.3g} (" in values
    assert f"{pck['even-0'] - pck['base-0']:+.3g} (" in differences
    notes = json.loads(read_tensors(out / "even-0.safetensors")[1]["notes"])
    assert notes["training"]["recipe"] == "even" and notes["steps"] == [0, 1, 1]

    def refuse(*_):
        raise AssertionError("made again")

    with monkeypatch.context() as patch:
        for place, name in [
            (ablate, "train"),
            (ablate.readout, "train"),
            (ablate.openloop, "main"),
        ]:
            patch.setattr(place, name, refuse)
        main(config(sets, out))
    assert (out / "intervals.md").read_text() == text
    with pytest.raises(UserError, match="an ablation of other data, steps"):
        main(config(sets, out, steps=(2, 1)))


def test_cells_play_by_their_own_weights_and_cost(sets, tmp_path, monkeypatch):
    asked = []

    def played(wanted):
        asked.append(wanted)
        timing = {"decisions": 1, "decision_s": 0.1}
        row = {"task": "reach", "trial": 0, "success": wanted.name == "base-1", "error": None}
        facts = {"final_distance": 0.1, "min_distance": 0.1, "held_at_end": False}
        return [{**row, **facts, "timing": timing, "repeat": 0}]

    monkeypatch.setattr(ablate, "run", played)
    monkeypatch.setattr(ablate.Ablation, "weights", lambda self, cell, seed: tmp_path / cell)
    main(config(sets, tmp_path / "out", figures=("cost",), seeds=(0, 1), trials=1))
    assert [wanted.name for wanted in asked][:3] == ["base-0", "base-1", "latent-cost-0"]
    assert all(f"weights={tmp_path / 'base'}" in wanted.agent_args for wanted in asked)
    assert "cost={'latent_share': 1.0, 'leaving': 0.0}" in asked[2].agent_args
    text = (tmp_path / "out" / "cost.md").read_text()
    assert text.count("0/1") == 5 and text.count("1/1") == 1


@pytest.mark.slow
def test_people_make_the_figures_of_actions_and_of_mixtures(sets, tmp_path):
    """Paper, Tables 3 and 1: one keypoint layer of people and robot measures all cells."""
    people, arms = tmp_path / "people", tmp_path / "arms"
    for number in range(3):
        write_egodex(people, f"part1/stack/{number}", 46, number, fps=10)
    for number in range(2):
        write_droid(arms, f"AUTOLab/success/2023-07-0{number}/a", 30)
    both = {"objects": False, "evaluate": (people, sets / "unseen")}
    both["layer_data"] = (people, sets / "seen")
    main(config(sets, tmp_path / "a", data=(people, arms), figures=("mixture",), **both))
    text = (tmp_path / "a" / "mixture.md").read_text()
    assert text.count("trained on people alone, seed 0 |") == 4  # of two sets, and differences
    assert text.count("trained on arms alone, seed 0 |") == 4
    assert "people, 2 windows" in text and "unseen, 2 windows" in text
    notes = json.loads(read_tensors(tmp_path / "a" / "second-0.safetensors")[1]["notes"])
    assert notes["training"]["data"] == ["arms"]
    both["evaluate"] = (people,)
    main(config(sets, tmp_path / "b", data=(people,), figures=("actions",), **both))
    text = (tmp_path / "b" / "actions.md").read_text()
    assert "NWM*" in text and "PEVA*" in text
    one, two = (read_tensors(path)[0] for path in tmp_path.glob("*/layers/*.safetensors"))
    assert all(torch.equal(one[name], two[name]) for name in one), "both are measured alike"


def test_figures_of_other_data_are_made_where_they_are_asked_for(sets):
    assert not {"actions", "mixture"} & set(AblateConfig((), ()).figures)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"figures": ("mixture",)}, "mixture compares two --data with both, and 1 are given"),
        ({"figures": ("size",)}, "unknown figures.*predictor"),
        ({"seeds": (1, 1)}, "each once"),
        ({"clips": 0}, "--clips is 0"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(sets, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        main(config(sets, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()
