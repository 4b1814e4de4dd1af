"""The command: trials are played, and tables, JSON and picture are written."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.planners import Brisk
from support.stand_ins import SMALL_PAPER

from dexbench.agents.dexwm.model.checkpoint import save_model
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.agents.reference.oracle import Oracle
from dexbench.bench.diagnose.candidates import SIMULATED
from dexbench.bench.diagnose.diagnose import DiagnoseConfig, Diagnosis, main, summary
from dexbench.bench.diagnose.waypoints import COLUMNS
from dexbench.envs.suite import Suite
from dexbench.envs.tasks import Goal, Place
from dexbench.utils.errors import UserError


def test_a_head_without_depth_is_compared_in_the_picture(tmp_path: Path, capsys: Any) -> None:
    torch.manual_seed(0)
    weights, out = tmp_path / "paper.safetensors", tmp_path / "table.csv"
    save_model(weights, DexWMModel(SMALL_PAPER))
    settings = (
        f"weights={weights}",
        "dtype=float32",
        "cem={'samples': 4, 'elites': 2, 'iterations': 1}",
    )
    main(DiagnoseConfig("dexwm", "reach", 1, "mini", agent_args=(*settings, "tile=4"), out=out))
    with open(out, newline="") as file:
        row = next(csv.DictReader(file))
    needs_depth = {"goal_cm", "seen_cm", "planned_cm", "predicted_cm"}
    assert {key for key, value in row.items() if value == ""} == needs_depth
    header, line, *_ = capsys.readouterr().out.splitlines()
    shown = dict(zip(header.split(), line.split(), strict=True))
    assert {key for key, value in shown.items() if value == "-"} == needs_depth


def test_a_trial_end_to_end(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "new" / "table.csv"
    main(DiagnoseConfig("kinematic", "reach", trials=1, suite="mini", out=out))
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["decision"] for row in rows] == ["0", "1", "2"]
    assert {row["success"] for row in rows} == {"True"} and list(rows[0])[5:] == list(COLUMNS)
    distances = [float(row["left_cm"]) for row in rows]
    # The keypoint planner comes nearer to the goal, which needs each row's own observations.
    assert distances[-1] < 12 and float(rows[0]["still_cm"]) > 10
    assert all(float(row["control_cm"]) < float(row["still_cm"]) for row in rows[:1])
    assert len(rows[0]["elite_costs"].split()) == 3
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[:3] == ["task", "decision", "goal_cm"] and len(printed) == 5


def test_all_candidates_are_simulated_from_where_the_decision_was_made(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the simulator predicts comes true, if state, waypoints and what was moved agree."""

    def moved(self: Place, sim: Any, target: str, goal: Goal, displaced: float) -> float:
        return displaced + float(np.linalg.norm(sim.object_position(target)))

    monkeypatch.setattr(Place, "true_cost", moved)
    out = tmp_path / "new" / "table.csv"
    main(DiagnoseConfig("support.planners:Brisk", "place", 1, "mini", simulate=True, out=out))
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]][5:] == [*COLUMNS, *SIMULATED] and len(rows) == 2
    content = json.loads(out.with_suffix(".json").read_text())
    for row, decision in zip(rows, content["decisions"], strict=True):
        tried = decision["candidates"]
        for iteration in (tried["first"], tried["last"]):
            assert iteration["predicted"] == iteration["true"]
            assert len(iteration["true"]) == 4 and len(iteration["elites"]) == 2
        assert tried["first"] != tried["last"]
        assert tried["predicted"] == tried["true"] == pytest.approx(float(row["cost"]), rel=1e-4)
        assert (float(row["spearman_first"]), float(row["elites_last"])) == (1.0, 0.25)
        assert float(row["gap_sd"]) == pytest.approx(0, abs=1e-6)
    assert content["agent"] == "support.planners:Brisk" and content["weights_hash"] is None
    assert content["suite_hash"] == Suite.load("mini").hash
    assert {content["settings_hash"], content["oracle_settings_hash"]} == {
        Brisk().settings_hash,
        Oracle(ramp=Brisk().config.ramp).settings_hash,
    }
    with Image.open(out.with_suffix(".png")) as image:
        assert image.format == "PNG"
    first, second, last = capsys.readouterr().out.split("\n\n")
    assert first.split()[:3] == ["task", "decision", "goal_cm"]
    assert second.split()[:3] == ["task", "decision", "spearman_first"]
    assert last == f"wrote {out}, {out.with_suffix('.json')}, {out.with_suffix('.png')}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"agent": "hold"}, "plans no waypoints"),
        ({"agent": "kinematic", "trials": 0}, "--trials is 0"),
        ({"agent": "kinematic", "planner": "huge"}, "cannot be made: .*unknown planner 'huge'"),
        ({"agent": "prior"}, "no plan to show"),
    ],
)
def test_bad_input_is_named(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config = DiagnoseConfig(**{"task": "reach", "trials": 1, "suite": "mini", **words})
        list(Diagnosis(config).decisions())


def test_a_folder_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        main(DiagnoseConfig("kinematic", "reach", out=tmp_path))


def test_a_table_in_the_place_of_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="writes a .json and a .png beside it"):
        main(DiagnoseConfig("kinematic", "reach", simulate=True, out=tmp_path / "x.json"))


def test_the_summary_is_a_mean_over_trials() -> None:
    import pandas

    rows = [
        {**dict.fromkeys(COLUMNS), "task": "reach", "decision": 0, "left_cm": value}
        for value in (1.0, 4.0)
    ]
    lines = summary(pandas.DataFrame(rows), ["left_cm", "cost"]).splitlines()
    assert [line.split() for line in lines] == [
        ["task", "decision", "left_cm", "cost"],
        ["reach", "0", "2.5", "-"],
    ]
