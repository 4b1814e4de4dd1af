import csv
import json
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import write_ledger

from dexbench.bench.scores.leaderboard import (
    COLUMNS,
    LeaderboardConfig,
    derive,
    main,
    markdown_table,
)
from dexbench.bench.scores.summary import text_table
from dexbench.utils.errors import UserError


def test_the_csv_derives_from_the_ledgers(tmp_path: Path, capsys: Any) -> None:
    write_ledger(tmp_path, "hold", "reach", 0)
    write_ledger(tmp_path, "dexwm", "reach", 3, weights_hash="feed")
    write_ledger(tmp_path, "dexwm", "grasp", 1, weights_hash="feed")
    write_ledger(tmp_path, "mine", "grasp", 0, planner="compact*", cost="paper")
    main(LeaderboardConfig(tmp_path))
    path = tmp_path / "leaderboard.csv"
    data = path.read_bytes()
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        lines = list(reader)
    assert tuple(reader.fieldnames or ()) == COLUMNS
    assert [(line["agent"], line["task"]) for line in lines] == [
        ("dexwm", "reach"),
        ("hold", "reach"),
        ("dexwm", "grasp"),
        ("mine", "grasp"),
    ]
    assert [(line["planner"], line["cost"]) for line in lines] == [
        ("unknown", "unknown"),
        ("-", "-"),
        ("unknown", "unknown"),
        ("compact*", "paper"),
    ]
    assert lines[0] == {
        "agent": "dexwm",
        "task": "reach",
        "trials": "4",
        "successes": "3",
        "rate": "0.75",
        "ci_low": "0.3006",
        "ci_high": "0.9544",
        "rank": "1",
        "median_final_distance_m": "0.15",
        "held_at_end": "2",
        "decision_seconds": "0.2",
        "planner": "unknown",
        "cost": "unknown",
        "pretraining": "none",
        "suite": "v1",
        "suite_hash": "abc",
        "weights_hash": "feed",
        "privileged": "False",
        "errors": "1",
        "versions": "dexbench 0.1.0, mujoco 3.3.1",
        "dtype": "bfloat16",
        "renderer": "llvmpipe",
    }
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5 and table[1].split()[:4] == ["dexwm", "reach", "3/4", "75.0%"]
    assert table[4].split()[-2:] == ["compact*", "paper"]
    main(LeaderboardConfig(tmp_path, csv=tmp_path / "sub/again.csv"))
    assert (tmp_path / "sub/again.csv").read_bytes() == data


def test_the_users_tasks_come_after_dexbenchs_by_name(tmp_path: Path) -> None:
    for task in ("lift", "place", "dance", "reach"):
        write_ledger(tmp_path, "hold", task, 1)
    lines = derive(tmp_path)
    assert [line["task"] for line in lines] == ["reach", "place", "dance", "lift"]
    assert markdown_table(lines).startswith("| agent | reach | place | dance | lift | s/decision")


def test_renderers_are_shown_whatever_their_number(tmp_path: Path) -> None:
    write_ledger(tmp_path, "hold", "reach", 0, trials=1)
    path = tmp_path / "v1/hold/reach/trials.jsonl"
    row = json.loads(path.read_text())
    for trial, renderer in ((1, "NVIDIA H100"), (2, None)):
        path.write_text(
            path.read_text() + json.dumps(row | {"trial": trial, "renderer": renderer}) + "\n"
        )
    assert derive(tmp_path)[0]["renderer"] == "NVIDIA H100 | llvmpipe"


def test_mixed_versions_of_others_than_mujoco_are_shown(tmp_path: Path) -> None:
    write_ledger(tmp_path, "hold", "reach", 0, trials=1)
    path = tmp_path / "v1/hold/reach/trials.jsonl"
    row = json.loads(path.read_text())
    row = {**row, "trial": 1, "versions": {"dexbench": "0.2.0", "mujoco": "3.3.1"}}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    (line,) = derive(tmp_path)
    assert line["versions"] == "dexbench 0.1.0, mujoco 3.3.1 | dexbench 0.2.0, mujoco 3.3.1"
    row["versions"]["mujoco"] = "3.4.0"
    path.write_text(path.read_text().splitlines()[0] + "\n" + json.dumps(row) + "\n")
    with pytest.raises(UserError, match="mujoco"):
        derive(tmp_path)


def test_what_cannot_be_a_leaderboard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trials in"):
        derive(tmp_path)
    write_ledger(tmp_path / "a", "hold", "reach", 0)
    write_ledger(tmp_path / "b", "hold", "reach", 0)
    with pytest.raises(UserError, match="two ledgers"):
        derive(tmp_path)
    write_ledger(tmp_path / "d", "hold", "reach", 0)
    write_ledger(tmp_path / "d", "prior", "grasp", 0, suite_hash="def")
    with pytest.raises(UserError, match="different suites of the name v1, with hash abc and def"):
        derive(tmp_path / "d")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/trials.jsonl").write_text('{"trial": 0}\n')
    with pytest.raises(UserError, match="no ledger of this version"):
        derive(tmp_path / "c")


def test_a_csv_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    write_ledger(tmp_path / "a", "hold", "reach", 0)
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    for path in (tmp_path / "file" / "table.csv", tmp_path / "folder.csv"):
        with pytest.raises(UserError, match="choose another --csv"):
            main(LeaderboardConfig(tmp_path / "a", csv=path))
    assert not list(tmp_path.rglob("*.tmp"))


def test_text_table_aligns() -> None:
    table = text_table(["name", "n"], [["a", "10"], ["longer", "5"]])
    assert table == "name     n\na       10\nlonger   5"


def test_the_markdown_table_has_a_line_for_each_agent(tmp_path: Path, capsys: Any) -> None:
    write_ledger(tmp_path, "hold", "reach", 0)
    write_ledger(tmp_path, "dexwm", "reach", 3, agent_args={"planner": "compact"})
    write_ledger(tmp_path, "dexwm", "grasp", 1, timing={"decisions": 2, "decision_s": 1.0})
    write_ledger(tmp_path, "expert", "reach", 4, privileged=True)
    main(LeaderboardConfig(tmp_path, markdown=True))
    out = capsys.readouterr().out
    assert "| 3/4\u00a0=\u00a075% [30,\u00a095] 15.0\u00a0cm,\u00a0rank\u00a01 |" in out
    assert out.replace("\u00a0", " ").splitlines() == [
        "| agent | reach | grasp | s/decision | planner | cost | pre-training |",
        "|---|---:|---:|---:|---|---|---|",
        "| dexwm | 3/4 = 75% [30, 95] 15.0 cm, rank 1 | 1/4 = 25% [5, 70] 15.0 cm, rank 1 | 0.50"
        " | compact / unknown | unknown | none |",
        "| hold | 0/4 = 0% [0, 49] 15.0 cm, rank 1 | - | 0.20 | - | - | none |",
        "| *expert* | 4/4 = 100% [51, 100] 15.0 cm | - | 0.20 | - | - | none |",
    ]
    write_ledger(tmp_path, "hold", "place", 0, suite="v2")
    with pytest.raises(UserError, match="the ledgers hold v1, v2"):
        markdown_table(derive(tmp_path))


def test_ranks_are_those_of_compare(tmp_path: Path) -> None:
    for agent, successes in {"first": 20, "second": 15, "third": 10}.items():
        write_ledger(tmp_path, agent, "reach", successes, 50)
    write_ledger(tmp_path, "expert", "reach", 50, 50, privileged=True)
    rank_of = {line["agent"]: line["rank"] for line in derive(tmp_path)}
    assert rank_of == {"first": 1, "second": 1, "third": 2, "expert": None}
    write_ledger(tmp_path, "away", "reach", 50, 50, renderer="NVIDIA")
    with_another = {line["agent"]: line["rank"] for line in derive(tmp_path)}
    assert with_another == rank_of | {"away": None}, "it does not pair, and takes no rank away"


def test_nobody_ranks_where_no_group_of_agents_is_the_largest(tmp_path: Path) -> None:
    write_ledger(tmp_path, "here", "reach", 0, 50)
    write_ledger(tmp_path, "away", "reach", 50, 50, renderer="NVIDIA")
    assert {line["rank"] for line in derive(tmp_path)} == {None}


def test_a_ledger_of_two_renderers_ranks_with_nobody(tmp_path: Path) -> None:
    for agent in ("a-mixed", "b-mixed", "c-mixed", "pure", "too"):
        write_ledger(tmp_path, agent, "reach", 1, 50)
    for path in tmp_path.rglob("*-mixed/*/trials.jsonl"):
        first, *rest = path.read_text().splitlines(True)
        path.write_text(
            json.dumps(json.loads(first) | {"renderer": "NVIDIA"}) + "\n" + "".join(rest)
        )
    rank_of = {line["agent"]: line["rank"] for line in derive(tmp_path)}
    assert {name for name, rank in rank_of.items() if rank} == {"pure", "too"}


@pytest.mark.parametrize(("page", "suite"), [("README.md", "v2"), ("docs/results_v1.md", "v1")])
def test_documents_show_the_committed_ledgers(page: str, suite: str) -> None:
    root = Path(__file__).parents[3]
    if not list((root / "results").rglob("trials.jsonl")):
        pytest.skip("no ledgers are committed")
    command = f"<!-- results: dexbench leaderboard --suite {suite} --markdown -->\n"
    shown = (root / page).read_text().partition(command)[2]
    lines = [line for line in derive(root / "results") if line["suite"] == suite]
    assert shown.partition("\n<!-- end of results -->")[0] == markdown_table(lines)


def test_the_committed_csv_is_what_the_ledgers_give(tmp_path: Path) -> None:
    root = Path(__file__).parents[3] / "results"
    if not list(root.rglob("trials.jsonl")):
        pytest.skip("no ledgers are committed")
    main(LeaderboardConfig(root, csv=tmp_path / "again.csv"))
    assert (tmp_path / "again.csv").read_bytes() == (root / "leaderboard.csv").read_bytes()


def test_every_suite_has_a_table_and_hidden_robots_one_of_their_own(
    tmp_path: Path, capsys: Any
) -> None:
    write_ledger(tmp_path, "dexwm", "place", 20, trials=20, hide_robot=False)
    write_ledger(tmp_path, "hold", "place", 0, trials=20)
    write_ledger(tmp_path, "dexwm-hidden", "place", 10, trials=20, hide_robot=True)
    write_ledger(tmp_path, "hold", "push", 0, suite="v2", suite_hash="def")
    ranks = [(line["suite"], line["agent"], line["rank"]) for line in derive(tmp_path)]
    assert ranks == [
        ("v1", "dexwm", 1),
        ("v1", "hold", 2),
        ("v1-hidden", "dexwm-hidden", 1),
        ("v2", "hold", 1),
    ]
    with pytest.raises(UserError, match="the ledgers hold v1, v1-hidden, v2; give --suite"):
        main(LeaderboardConfig(tmp_path, markdown=True))
    main(LeaderboardConfig(tmp_path, markdown=True, suite="v2"))
    assert capsys.readouterr().out.startswith("| agent | push | s/decision")
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4, "the file holds all suites"
    main(LeaderboardConfig(tmp_path, suite="v1"))
    assert "hidden" not in capsys.readouterr().out
    with pytest.raises(UserError, match="no trials of suite v3; the ledgers hold v1, v1-hidden"):
        main(LeaderboardConfig(tmp_path, suite="v3"))
