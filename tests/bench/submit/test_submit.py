"""From ledgers to a file, and from there to the accepted ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.submissions import STATEMENT, changed, honest, never, remembers

from dexbench.bench.ledger.entries import read_entries
from dexbench.bench.submit.accept import RECORD, accept
from dexbench.bench.submit.check import Options, examine
from dexbench.bench.submit.submission import Submission, decode, encode, unpack
from dexbench.bench.submit.submit import SubmitConfig, main
from dexbench.utils.errors import UserError

NOWHERE = Path("nowhere")


def config(ledger: Path, out: Path, **options: Any) -> SubmitConfig:
    said = {"training_data": STATEMENT.training_data, "hardware": STATEMENT.hardware}
    options = {"authors": STATEMENT.authors, "against": NOWHERE, "seed": 0, **said, **options}
    return SubmitConfig(ledger=ledger, out=out, **options)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """The honest submission's rows as `dexbench run` has them, with a repeat of one."""
    folder = tmp_path / "runs" / "mini" / "mine"
    unpack(honest().plays, folder)
    path = folder / "place" / "trials.jsonl"
    row = {**honest().plays[0].row, "repeat": 1}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    shutil.copy(folder / "place/actions/000.npz", folder / "place/actions/000-r1.npz")
    return folder


def test_what_is_submitted_is_what_check_takes(ledger: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "sub" / "mine.submission"
    main(config(ledger, out), remembers)
    assert out.read_bytes() == encode(honest())
    *verdicts, last = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in verdicts] == ["well"] * 7
    assert last.startswith(f"wrote {out}: ")
    assert decode(out.read_bytes()).statement == STATEMENT


def test_what_check_refuses_is_not_written(ledger: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "mine.submission"
    for forged, check in (
        (changed(0, final_distance=0.0), "outcomes"),
        (replace(honest(), plays=honest().plays[:4]), "complete"),
        (changed(2, held_at_end=False), "simulation"),
    ):
        shutil.rmtree(ledger)
        unpack(forged.plays, ledger)
        with pytest.raises(UserError, match="would be refused; mend"):
            main(config(ledger, out), remembers)
        assert f"{check:<10}  refused  place trial " in capsys.readouterr().out
        assert not out.exists()


def test_bad_input_is_refused(ledger: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.submission"
    for options, message in (
        ({"ledger": tmp_path / "none"}, "no trials in"),
        ({"workers": 0}, "--workers is 0"),
        ({"minutes": -1.0}, "--minutes is -1"),
    ):
        with pytest.raises(UserError, match=message):
            main(replace(config(ledger, out), **options), never)
    with pytest.raises(UserError, match="would be refused"):
        main(config(ledger, out, hardware="two\nlines"), never)
    (ledger / "place" / "actions" / "003.npz").write_bytes(b"PK torn")
    with pytest.raises(UserError, match="no actions can be read from"):
        main(config(ledger, out), never)
    path = ledger / "place" / "trials.jsonl"
    path.write_text(path.read_text().replace('"wall_s":', '"wall_s":NaN,"x":', 1))
    shutil.copy(ledger / "place/actions/000.npz", ledger / "place/actions/003.npz")
    with pytest.raises(UserError, match="cannot be submitted"):
        main(config(ledger, out), never)
    assert not out.exists()


def accepted(submission: Submission, place: Path, against: Path = NOWHERE) -> Path:
    data = encode(submission)
    _, verdicts = examine(data, Options(against=NOWHERE, seed=0), remembers)
    return accept(submission, data, verdicts, place, against)


def test_an_accepted_submission_is_a_ledger_with_a_record(tmp_path: Path) -> None:
    folder = accepted(honest(), tmp_path / "submissions")
    assert folder == tmp_path / "submissions" / "mini" / "mine"
    (entry,) = read_entries([tmp_path])
    assert entry.rows == [play.row for play in honest().plays]
    record = json.loads((folder / RECORD).read_text())
    assert record["authors"] == ["Ada", "Grace"] and record["hardware"] == STATEMENT.hardware
    assert record["checked"]["simulation"] == "5 of 5 rows simulated again, 5 exact, seed 0"
    assert len(record["sha256"]) == 64 and record["versions"]["mujoco"]


def test_an_agent_is_accepted_once(tmp_path: Path) -> None:
    accepted(honest(), tmp_path / "submissions")
    before = sorted(tmp_path.rglob("*"))
    for place in (tmp_path / "submissions", tmp_path / "elsewhere"):
        with pytest.raises(UserError, match="holds mine on mini already"):
            accepted(honest(), place, against=tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
