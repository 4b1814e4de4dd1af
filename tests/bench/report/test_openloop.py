"""Open-loop evaluations in the report."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.runs import run_fake

from dexbench.bench.report.openloop import read_openloop
from dexbench.bench.report.page import ReportConfig, main
from dexbench.utils.errors import UserError


def row(measure: str, value: float | None, **more: Any) -> dict[str, Any]:
    numbers = dict.fromkeys(("value", "low", "high"), value)
    head = {"set": "play-9", "model": "dexwm", "source": "model", "seconds": "4.0"}
    return {**head, "measure": measure, **numbers, "clips": 12, **more}


def facts() -> dict[str, Any]:
    windows = {"windows": [[0, 1], [4, 2]], "windows_sha256": "ab" * 32}
    return {
        "interval_s": 0.4,
        "models": [{"model": "dexwm", "weights_sha256": "cd" * 32}],
        "sets": [{"set": "play-9", **windows}, {"set": "lift-9", **windows}],
        "rows": [
            row("pck20", 0.625),
            row("pck20", 0.5, source="copy"),
            row("pck20", None, set="lift-9"),
        ],
        "counterfactual": [
            row("hand_cosine", 0.75, future="pairs"),
            row("way_slope", 0.875, future="left"),
        ],
        "transfer": [row("grip_cm", 1.5)],
    }


def results(folder: Path, written: dict[str, Any]) -> Path:
    run_fake(folder, trials=2)
    path = folder / "openloop" / "openloop.json"
    path.parent.mkdir()
    path.write_text(json.dumps(written))
    return folder


def section(html: str) -> str:
    part = html.partition("<h2>What the models foresee</h2>")[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", part).split())


def test_evaluations_beside_the_ledgers_are_shown(tmp_path: Path) -> None:
    folder = results(tmp_path / "results", facts())
    main(ReportConfig((folder,), tmp_path / "report.html"))
    text = section((tmp_path / "report.html").read_text())
    play, _, lift = text.partition("lift-9, 2 windows, 0.4 s a step")
    assert "play-9, 2 windows, 0.4 s a step" in play
    assert "Recorded clips: model source pck20 4.0 s dexwm model 0.625 (0.625..0.625)" in play
    assert "dexwm copy 0.5 (0.5..0.5)" in play
    assert "model source hand_cosine 4.0 s dexwm model 0.75 (0.75..0.75)" in play
    assert "future model source way_slope 4.0 s left dexwm model 0.875 (0.875..0.875)" in play
    assert "Actions in another kitchen: model source grip_cm 4.0 s dexwm model 1.5 (1.5.." in play
    assert "dexwm model - " in lift and "future" not in lift
    assert f"Windows {'ab' * 8}; weights dexwm {'cd' * 8}." in lift


def test_without_any_there_is_no_section(tmp_path: Path) -> None:
    run_fake(tmp_path / "results", trials=2)
    main(ReportConfig((tmp_path / "results",), tmp_path / "report.html"))
    assert "foresee" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("damage", ["cut", "sets", "rows"])
def test_a_damaged_evaluation_is_named(tmp_path: Path, damage: str) -> None:
    written = facts()
    if damage != "cut":
        written[damage] = [{}]
    folder = results(tmp_path, written)
    path = folder / "openloop" / "openloop.json"
    if damage == "cut":
        path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"openloop\.json is damaged .* delete it"):
        read_openloop([folder])
