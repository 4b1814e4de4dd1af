import json
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import write_ledger

from dexbench.bench import cli
from dexbench.bench.ledger.entries import read_entries
from dexbench.bench.scores.compare import CompareConfig, main
from dexbench.bench.scores.statistics import paired_interval
from dexbench.utils.errors import UserError

MORE = {"renderer": "llvmpipe", "steps_to_success": None, "distances": [0.2]}


def write(folder: Path, agent: str, successes: int, **changes: Any) -> None:
    write_ledger(folder, agent, "reach", successes, **{"trials": 50, **MORE, **changes})


def test_pairs_ranks_and_resolution(tmp_path: Path, capsys: Any) -> None:
    for agent, successes in {"good": 41, "fair": 25, "poor": 0, "none": 0}.items():
        write(tmp_path, agent, successes)
    write(tmp_path, "expert", 50, privileged=True)
    cli.main(["compare", str(tmp_path), "--task", "reach"])
    table, ranks, sentences = capsys.readouterr().out.split("\n\n")
    assert table.splitlines()[0].split("  ")[0] == "A"
    lines = [line.replace("< ", "<").split() for line in table.splitlines()[1:]]
    gap = ["+32.0%", "+17.1%", "to", "+44.4%"]
    assert lines[0] == ["good", "fair", "50", "16", "0", *gap, "<0.001", "<0.001", "yes"]
    none = ["+0.0%", "-5.3%", "to", "+5.3%"]
    assert lines[-1] == ["none", "poor", "50", "0", "0", *none, "1.000", "1.000", "no"]
    assert len(lines) == 6  # without the expert
    assert [line.split() for line in ranks.splitlines()[1:]] == [
        ["1", "good", "41/50"],
        ["2", "fair", "25/50"],
        ["3", "none", "0/50"],
        ["3", "poor", "0/50"],
    ]
    assert "With 50 shared trials, a gap of 16 points is found in 4 of 5 cases" in sentences
    assert "10% of the trials, it takes 29 points." in sentences
    assert "different trials, 50 each, it takes 30 points." in sentences


@pytest.mark.parametrize(("trials", "enough"), [(5, False), (6, True)])
def test_when_trials_are_too_few(tmp_path: Path, capsys: Any, trials: int, enough: bool) -> None:
    write(tmp_path, "good", trials, trials=trials)
    write(tmp_path, "poor", 0, trials=trials)
    main(CompareConfig("reach", (tmp_path,)))
    out = capsys.readouterr().out
    assert out.splitlines()[1].endswith("yes") == enough
    assert (f"{trials} shared trials cannot separate two agents" in out) != enough
    assert ("10% of the trials, no gap is found so often." in out) == enough


def test_a_rank_counts_who_is_better(tmp_path: Path, capsys: Any) -> None:
    """Only the first of the chain is separated from the last."""
    for agent, successes in {"first": 20, "second": 15, "third": 10}.items():
        write(tmp_path, agent, successes)
    main(CompareConfig("reach", (tmp_path,)))
    _, ranks, sentences = capsys.readouterr().out.split("\n\n")
    assert [line.split()[:2] for line in ranks.splitlines()[1:]] == [
        ["1", "first"],
        ["1", "second"],
        ["2", "third"],
    ]
    assert sentences.startswith("An agent's rank is one more than the number of agents that are")


def test_privileged_agents_take_part_where_they_are_named(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, "good", 3, trials=4)
    write(tmp_path, "expert", 4, trials=6, privileged=True)
    main(CompareConfig("reach", (tmp_path,), ("good", "expert")))
    out = capsys.readouterr().out
    assert out.splitlines()[1].split()[:5] == ["good", "expert", "4", "0", "1"]
    assert "4 shared trials cannot separate two agents" in out
    with pytest.raises(UserError, match="1 agents to compare on reach, expected 2 or more"):
        main(CompareConfig("reach", (tmp_path,)))


def test_the_first_trials_alone(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, "oracle", 16, trials=20, privileged=True)
    write(tmp_path, "poor", 3)
    main(CompareConfig("reach", (tmp_path,), ("oracle", "poor"), trials=10))
    table, ranks, _ = capsys.readouterr().out.split("\n\n")
    assert table.splitlines()[1].split()[:6] == ["oracle", "poor", "10", "7", "0", "+70.0%"]
    assert "oracle 10/10" in ranks and "poor 3/10" in ranks
    with pytest.raises(UserError, match="--trials is 0"):
        main(CompareConfig("reach", (tmp_path,), trials=0))


def test_an_agent_that_played_later_trials_alone_has_none_of_the_first(tmp_path: Path) -> None:
    for agent in ("good", "late"):
        write(tmp_path, agent, 9, trials=10)
    path = tmp_path / "v1/late/reach/trials.jsonl"
    lines = path.read_text().splitlines(True)
    path.write_text("".join(line for line in lines if json.loads(line)["trial"] >= 5))
    with pytest.raises(UserError, match="late has no reach trials there; choose from good"):
        main(CompareConfig("reach", (tmp_path,), ("good", "late"), trials=5))
    (tmp_path / "v1/good/reach/trials.jsonl").unlink()
    with pytest.raises(UserError, match="nobody played the first 5 reach trials"):
        main(CompareConfig("reach", (tmp_path,), trials=5))


def test_repeats_are_not_further_trials(tmp_path: Path) -> None:
    write(tmp_path / "a", "good", 4, trials=4, repeat=1)
    write(tmp_path / "b", "good", 1, trials=4)
    path = tmp_path / "b/v1/good/reach/trials.jsonl"
    path.write_text(path.read_text() + (tmp_path / "a/v1/good/reach/trials.jsonl").read_text())
    (entry,) = read_entries([tmp_path / "b"])
    assert entry.solved == {0: True, 1: False, 2: False, 3: False}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite_hash": "def"}, "the suite differs: .*v1 (abc|def).*v1 (abc|def)"),
        ({"renderer": "NVIDIA"}, "the OpenGL renderer differs: .*(NVIDIA|llvmpipe)"),
        ({"versions": {"mujoco": "3.4.0"}}, r"the MuJoCo differs: .*3\.(3\.1|4\.0)"),
    ],
)
def test_what_does_not_pair_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write(tmp_path, "good", 3)
    write(tmp_path, "same", 1, versions={"dexbench": "0.2.0", "mujoco": "3.3.1"})
    main(CompareConfig("reach", (tmp_path,)))  # dexbench's own version may differ
    write(tmp_path, "other", 2, **changes)
    with pytest.raises(UserError, match=message):
        main(CompareConfig("reach", (tmp_path,)))


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no trials in"):
        main(CompareConfig("reach", (tmp_path,)))
    write(tmp_path / "a", "good", 3)
    write(tmp_path / "a", "fair", 2)
    with pytest.raises(UserError, match="no grasp trials; the ledgers hold reach"):
        main(CompareConfig("grasp", (tmp_path,)))
    with pytest.raises(UserError, match="bad has no reach trials there; choose from fair, good"):
        main(CompareConfig("reach", (tmp_path,), ("good", "bad")))
    write(tmp_path / "b", "good", 3)
    with pytest.raises(UserError, match="both hold good on v1 reach"):
        main(CompareConfig("reach", (tmp_path / "a", tmp_path / "b")))
    write_ledger(tmp_path / "c", "good", "reach", 3)
    with pytest.raises(UserError, match="a row lacks distances, steps_to_success"):
        main(CompareConfig("reach", (tmp_path / "c",)))
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", "good", 3, trials=2)
    path = tmp_path / "a/v1/fair/reach/trials.jsonl"
    later = [line for line in path.read_text().splitlines(True) if '"trial": 1' not in line]
    path.write_text("".join(line for line in later if '"trial": 0' not in line))
    with pytest.raises(UserError, match="share no trial of reach"):
        main(CompareConfig("reach", (tmp_path / "a/v1/fair", tmp_path / "d")))


def test_hidden_robots_take_part_where_they_are_named(tmp_path: Path, capsys: Any) -> None:
    for agent, successes in {"good": 40, "poor": 0}.items():
        write(tmp_path, agent, successes)
    write(tmp_path, "good-hidden", 5, hide_robot=True)
    main(CompareConfig("reach", (tmp_path,)))
    assert "hidden" not in capsys.readouterr().out
    main(CompareConfig("reach", (tmp_path,), ("good", "good-hidden")))
    line = capsys.readouterr().out.splitlines()[1].split()
    assert line[:5] == ["good", "good-hidden", "50", "35", "0"]


def test_repeats_are_compared_by_their_means(tmp_path: Path, capsys: Any) -> None:
    write(tmp_path, "good", 30)
    write(tmp_path, "poor", 30)
    path = tmp_path / "v1" / "good" / "reach" / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    # Played again, good solves all: its mean is 1 in 30 trials and 0.5 in 20.
    again = [{**row, "repeat": 1, "success": True} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *again]))
    main(CompareConfig("reach", (tmp_path,)))
    once, over_all = capsys.readouterr().out.split("over all repeats\n")
    assert " +0.0% " in once
    low, high = paired_interval([0.0] * 30 + [0.5] * 20)
    assert over_all.splitlines()[1].split() == [
        *("good", "poor", "50", "100", "50", "+20.0%"),
        *(f"{low:+.1%}", "to", f"{high:+.1%}"),
    ]


def test_repeats_that_were_drawn_otherwise_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path, "good", 30)
    write(tmp_path, "poor", 30)
    path = tmp_path / "v1" / "good" / "reach" / "trials.jsonl"
    again = [
        {**json.loads(line), "repeat": 1, "renderer": "another"}
        for line in path.read_text().splitlines()
    ]
    path.write_text(path.read_text() + "".join(json.dumps(row) + "\n" for row in again))
    with pytest.raises(UserError, match="the OpenGL renderer differs"):
        main(CompareConfig("reach", (tmp_path,)))
