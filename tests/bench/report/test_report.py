import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import write_ledger, write_real

from dexbench.bench.ledger.entries import read_entries
from dexbench.bench.ledger.real import read_real
from dexbench.bench.report.page import ReportConfig, main, render
from dexbench.bench.scores.novelty import ASPECTS, is_new
from dexbench.envs.suite import Suite
from dexbench.utils.errors import UserError

VOID = {"meta", "link", "br"}


def write(folder: Path, agent: str, task: str = "reach", successes: int = 2, **more: Any) -> Path:
    write_ledger(folder, agent, task, successes, **{"renderer": "llvmpipe", **more})
    path = folder / "v1" / agent / task / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["steps_to_success"] = 20 + row["trial"] if row["success"] else None
        row["distances"] = [0.4 - 0.001 * step for step in range(61)]
        row["error"] = more.get("error")
        row.setdefault("held_distance", 0.1 + 0.05 * row["trial"])
        row["timing"] |= {"wall_s": 36.0, "finished_at": f"2030-01-0{row['trial'] + 1}T00:00:00"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def without_held_distance(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text(
        "".join(
            json.dumps({key: value for key, value in row.items() if key != "held_distance"}) + "\n"
            for row in rows
        )
    )


def page(folder: Path) -> str:
    return render(read_entries([folder]))


class Nesting(HTMLParser):
    """Fails where a tag is closed that is not the one that is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def section(html: str, title: str) -> str:
    return html.partition(f"<h2>{title}</h2>")[2].partition("</section>")[0]


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for task in ("reach", "grasp", "place"):
        write(tmp_path, "good", task, 3)
    write(tmp_path, "dexwm", successes=1, agent_args={"planner": "paper"}, weights_hash="feed")
    write(tmp_path, "expert", successes=4, privileged=True)
    return tmp_path


def test_the_page_is_one_file_that_asks_for_nothing_else(results: Path) -> None:
    html = page(results)
    assert html.startswith("<!doctype html>") and html.endswith("</html>\n")
    parser = Nesting()
    parser.feed(html)
    assert parser.open == []
    names = re.findall(r'xmlns(?::\w+)?="[^"]*"', html)
    bare = html
    for name in set(names):
        bare = bare.replace(name, "")
    assert "://" not in bare and "<script" not in bare and "@import" not in bare
    assert not re.search(r"\b(src|srcset)=|url\((?!#)", bare)
    assert set(re.findall(r'href="(.)', bare)) <= {"#"}
    assert "prefers-color-scheme: dark" in html and "@media print" in html
    assert "#f0f" not in html  # every marker colour became one of the page's
    assert html == page(results)


def test_scores_ranks_and_bounds(results: Path) -> None:
    scores = words(section(page(results), "Scores"))
    order = [scores.index(name) for name in ("good", "dexwm", "Given the simulator", "expert")]
    assert order == sorted(order)
    assert "good 75 % 3/4 rank 1" in scores and "dexwm 25 % 1/4 rank 1" in scores
    assert "not played" in scores
    assert "rank 1 15.0 cm at the end not played not played paper unknown" in scores
    assert "expert 100 % 4/4 20" not in scores and "expert 100 % 4/4 rank" not in scores
    bars = re.findall(r"left:([\d.]+)%;right:([\d.]+)%", section(page(results), "Scores"))
    assert ("30.06", "4.56") in [(left[:5], right[:4]) for left, right in bars]
    worth = words(section(page(results), "What the differences are worth"))
    assert "reach 1 good 1 dexwm" in worth
    assert "Reach: 4 shared trials cannot separate two agents" in worth
    assert "Grasp, place: There are not two agents to compare." in worth


def test_ranks_are_those_of_compare(tmp_path: Path) -> None:
    for name, successes in {"fine": 20, "good": 15, "poor": 10}.items():
        write(tmp_path, name, successes=successes, trials=50)
    html = page(tmp_path)
    assert re.findall(r"rank \d", words(section(html, "Scores"))) == ["rank 1", "rank 1", "rank 2"]
    worth = section(html, "What the differences are worth")
    assert "1 fine 1 good 2 poor" in words(worth)
    assert worth.count('<tr class="separated">') == 1


def test_threshold_curves_leave_out_old_ledgers_and_say_so(results: Path) -> None:
    full = section(page(results), "Success against the threshold")
    assert full.count("<svg xmlns") == 3 and "Left out" not in full
    assert full.count("threshold [cm]") == 3
    assert re.findall(r"--muted\)[^>]*>(\d+)</text>", full) == ["15", "20", "10"]  # the protocol's
    without_held_distance(results / "v1/dexwm/reach/trials.jsonl")
    without_held_distance(results / "v1/good/grasp/trials.jsonl")
    html = page(results)
    curves = section(html, "Success against the threshold")
    assert curves.count("<svg xmlns") == 2
    captions = re.findall(r"<figcaption>(.*?)\. Their", curves)
    assert captions == ["Left out: dexwm", "Left out: good"]
    assert section(html, "Time to success").count("<svg xmlns") == 3


def test_scores_are_split_by_what_is_new_where_the_suite_is_known(tmp_path: Path) -> None:
    suite = Suite.load("v1")
    write(tmp_path / "unknown", "good", "place", 3)
    write(tmp_path / "known", "good", "place", 3, suite_hash=suite.hash)
    assert "Seen and new" not in page(tmp_path / "unknown")
    new = [is_new(suite.trial("place", trial)) for trial in range(4)]
    assert 0 < sum(each["layout"] for each in new) < 4, "or this says little"
    cells = words(section(page(tmp_path / "known"), "Seen and new")).partition(" good ")[2]
    for aspect in ASPECTS:
        for sort in (False, True):
            won = [trial < 3 for trial in range(4) if new[trial][aspect] == sort]
            share = f"{sum(won)}/{len(won)} {100 * sum(won) / len(won):.0f}%" if won else "–"
            assert cells.startswith(share)
            cells = cells[len(share) + 1 :]


def test_every_trial_is_in_the_grid(results: Path) -> None:
    write(results, "broken", successes=0, error="ValueError: <i>no</i> & so on")
    html = page(results)
    grid = section(html, "Trial by trial")
    assert grid.count('class="solved"') == 3 * 3 + 1 + 4
    assert grid.count('class="missed"') == 3 + 3
    assert grid.count('class="error"') == 4
    assert 'title="dexwm, trial 0: solved after 2.0 s; distance 0.0 cm at the end, ' in grid
    assert "trial 3: not solved; distance 30.0 cm at the end, 15.0 cm at the least" in grid
    assert "<i>no</i>" not in html
    assert "broken reach ValueError: &lt;i&gt;no&lt;/i&gt; &amp; so on 0, 1, 2, 3" in words(
        section(html, "Errors")
    )


def test_what_was_run_and_how_to_run_it_again(results: Path) -> None:
    html = page(results)
    run = words(section(html, "What was run"))
    assert "suite hash abc" in run and "mujoco 3.3.1" in run and "OpenGL renderer llvmpipe" in run
    assert "agent arguments weights" in run and "dexwm planner=paper feed" in run
    lines = re.search(r"<pre>(.*?)</pre>", html, re.DOTALL)[1].splitlines()  # type: ignore[index]
    assert lines == [
        "dexbench run --agent good --task all --trials 4 --suite v1  # a --name: put its agent",
        "dexbench run --agent dexwm --task reach --trials 4 --suite v1 --agent-args planner=paper",
        "dexbench run --agent expert --task reach --trials 4 --suite v1",
        "dexbench report runs --out report.html",
    ]
    write(results, "good", "lift")
    assert "--task MODULE:lift --trials 4 --suite FOLDER/v1  # a --name" in page(results)
    assert "last trial on 2030-01-04" in html
    assert "0.200" in section(html, "Decision times")


def test_trials_that_do_not_pair_are_shown_without_ranks(results: Path) -> None:
    write(results, "away", successes=2, renderer="NVIDIA")
    html = page(results)
    assert "Not ranked: away, played with another MuJoCo or OpenGL renderer." in words(html)
    assert "away 50 % 2/4 15.0 cm" in words(section(html, "Scores"))
    write(results, "elsewhere", suite_hash="def")
    with pytest.raises(UserError, match="the suite differs"):
        page(results)


def test_main_writes_the_file_or_nothing(results: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "sub/report.html"
    main(ReportConfig((results,), out))
    assert out.read_text() == render(read_entries([results]))
    assert "MB" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="choose another --out"):
        main(ReportConfig((results,), tmp_path / "folder"))
    assert not list(tmp_path.glob("*.tmp"))


def test_matplotlib_and_jinja_wait_for_the_command() -> None:
    code = (
        "import sys; import dexbench.bench.cli, dexbench.bench.scores.compare;"
        "import dexbench.bench.report.page;"
        "sys.exit(any(name in sys.modules for name in ('matplotlib', 'jinja2', 'mujoco')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=300).returncode == 0


def test_hidden_robots_are_left_out_where_others_are_there(tmp_path: Path) -> None:
    write(tmp_path / "in", "good-hidden", hide_robot=True)
    config = ReportConfig((tmp_path / "in",), tmp_path / "report.html")
    main(config)
    text = config.out.read_text()
    assert "good-hidden" in text and "--suite v1 --hide-robot" in text
    write(tmp_path / "in", "good")
    main(config)
    assert "good-hidden" not in config.out.read_text()


def test_a_page_of_another_suite_asks_for_all_of_its_tasks(tmp_path: Path) -> None:
    for task in ("push", "pick", "carry", "avoid"):
        write(tmp_path, "dexwm", task, suite="v2")
    html = page(tmp_path)
    assert "dexbench run --agent dexwm --task all --trials 4 --suite v2" in html
    assert "in the plane of the counter" in html, "what counts as success"


def test_real_trials_have_a_section_of_their_own(results: Path) -> None:
    entries = read_entries([results])
    without = render(entries)
    write_real(results, "dexwm", 3)
    html = render(entries, real=read_real([results]))
    parser = Nesting()
    parser.feed(html)
    assert parser.open == []
    assert "Real robot" not in without
    shown = words(section(html, "Real robot"))
    assert "lab.arm:Arm dexwm grasp 3/4 75% [30, 95] 1 person 2.500 paper-real paper" in shown
    assert "cup.png solved note 0 &lt;b&gt;" in shown and "ended early: joint 3 too fast" in shown
    for title in ("Scores", "Trial by trial", "Errors"):
        assert section(html, title) == section(without, title)


def test_a_page_of_real_trials_alone(tmp_path: Path) -> None:
    write_real(tmp_path / "ledgers", "dexwm", 3)
    main(ReportConfig((tmp_path / "ledgers",), tmp_path / "report.html"))
    html = (tmp_path / "report.html").read_text()
    parser = Nesting()
    parser.feed(html)
    assert parser.open == [] and "lab.arm:Arm" in section(html, "Real robot")
    assert "<h2>Scores</h2>" not in html and "None" not in html
