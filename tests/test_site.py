"""The site's own code: its links, its data sheets, and what its API page holds."""

import importlib.util
import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.ledgers import write_ledger, write_real

from dexbench.docs import check_links, conf, leaderboard_page

DOCS = conf.HERE
ROOT = DOCS.parent
FACES = ("envs", "agents", "bench", "data_collection", "testing")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><img src="b.png"><a href="#top">x</a><a href="https://x.org/y">y</a>'
        '<a href="sub/c.html#there">z</a><a href="sub/c.html?q=1">z</a>'
    )
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "sub/c.html").write_text('<p id="there"><a href="../a.html">a</a></p>')
    return tmp_path


def test_a_whole_site_has_no_broken_links(site: Path) -> None:
    assert check_links.broken(site) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [("b.png", "d.png"), ("c.html#there", "c.html#nowhere"), ("#top", "#bottom"),
     ("sub/c.html?", "c.html?")],
)  # fmt: skip
def test_a_broken_link_is_found(site: Path, old: str, new: str) -> None:
    page = site / "a.html"
    page.write_text(page.read_text().replace(f'"{old}', f'"{new}').replace(f"/{old}", f"/{new}"))
    ((where, targets),) = check_links.broken(site).items()
    assert where == page.resolve() and len(targets) == 1


def test_links_lead_to_the_page_that_shows_a_file() -> None:
    page, card = DOCS / "index.md", ROOT / "agents/dexwm/weights/README.md"
    text = "[a](docs/data.md#look) [b](agents/dexwm/weights/README.md) ![c](docs/images/held.png)"
    assert conf.point(text, ROOT / "README.md", page) == (
        "[a](data.md#look) [b](repository/dexwm_weights.md) ![c](images/held.png)"
    )
    shown = conf.pages()[card]
    assert conf.point("[up](../../../docs/data.md)", card, shown) == "[up](../data.md)"
    outside = "[code](agents/registry.py), [far](https://x.org), [none](nowhere.md)"
    assert conf.point(outside, ROOT / "README.md", page) == (
        "code, [far](https://x.org), [none](nowhere.md)"
    )


def test_intervals_stay_on_a_line() -> None:
    assert conf.keep_intervals("| 0% [0, 7] [a, b](x.md) |") == "| 0% [0,\u00a07] [a, b](x.md) |"


def test_the_leaderboard_shows_every_ledger_and_how_it_was_verified(tmp_path: Path) -> None:
    for agent, solved in (("good", 39), ("fair", 38), ("poor", 2), ("also-poor", 1)):
        write_ledger(tmp_path, agent, "reach", solved, trials=40)
    write_ledger(tmp_path, "seer", "reach", 40, trials=40, privileged=True)
    write_ledger(tmp_path, "good", "dance", 3, suite="other", suite_hash="def")
    write_ledger(tmp_path / "submissions", "theirs", "reach", 20, trials=40)
    record = {
        "authors": ["Ada <script>", "Grace"],
        **{"training_data": "none", "hardware": "a Xeon", "sha256": "feed", "on": "2026-12-01"},
        **{"checked": {"simulation": "40 of 40 rows, 40 exact"}, "versions": {"mujoco": "3.3.1"}},
    }
    (tmp_path / "submissions/v1/theirs/submission.json").write_text(json.dumps(record))
    page = leaderboard_page.leaderboard(tmp_path)
    assert re.findall("^##+ (.*)$", page, re.MULTILINE) == [
        *("Suite other", "Dance", "Suite v1", "Reach", "Rows from outside")
    ]
    rows = re.findall(r'<tr class="(.*?)">\n(.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for _, row in rows]
    assert [(kind, *row[:3]) for (kind, _), row in zip(rows, cells, strict=True)] == [
        ("even", "1", "good", "3/4"),
        ("even", "1", "good", "39/40"),
        ("even", "1", "fair", "38/40"),
        ("odd", "3", "theirs", "20/40"),
        ("even", "4", "poor", "2/40"),
        ("even", "4", "also-poor", "1/40"),
        ("unranked", "-", "<em>seer</em>", "40/40"),
    ]
    assert cells[1][3].endswith("87 to 100%") and "M87" in cells[1][3]
    # As they stand; a first click on what is better the larger puts the best first.
    assert re.findall(r'aria-sort="ascending"><button type="button">(.*?)<', page) == ["rank"] * 2
    largest = re.findall(r'data-first="largest"><button type="button">(.*?)<', page)
    assert largest == ["solved", "95% interval"] * 2
    links = [row[-1] for row in cells]
    assert links.pop(3) == '<a href="#submission-v1-theirs">from outside, by check</a>'
    assert set(links) == {'<a href="#rows-of-this-repository">own rows, by verify</a>'}
    below = page.partition('<h3 id="submission-v1-theirs">theirs on v1</h3>')[2]
    assert "Ada &lt;script&gt;, Grace" in below and "<script>" not in page
    assert "40 of 40 rows, 40 exact" in below and "2026-12-01, with mujoco 3.3.1" in below
    assert "## Rows of this repository" in (DOCS / "leaderboard.md").read_text()


def test_the_leaderboard_shows_real_robots_apart(tmp_path: Path) -> None:
    write_ledger(tmp_path, "good", "reach", 3)
    assert "Real robots" not in leaderboard_page.leaderboard(tmp_path)
    write_real(tmp_path, "good", 9, trials=12)
    write_real(tmp_path, "poor", 1, trials=12, driver="stepped", judge="driver")
    page = leaderboard_page.leaderboard(tmp_path)
    simulated, _, real = page.partition("## Real robots")
    assert "A person beside the robot judged them" in real
    assert "lab.arm" not in simulated and simulated.count("<table") == real.count("<table") == 1
    heads, *rows = re.findall(r"<tr.*?>\n(.*?)</tr>", real, re.DOTALL)
    names = re.findall(r'<button type="button">(.*?)</button>', heads)
    cells = [
        dict(zip(names, re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL), strict=True))
        for row in rows
    ]
    seen = ("driver", "agent", "solved", "ended early", "calibration", "judged by")
    assert [[row[name] for name in seen] for row in cells] == [
        ["lab.arm:Arm", "good", "9/12", "1", "feedfacecafe", "person"],
        ["stepped, simulated", "poor", "1/12", "1", "feedfacecafe", "driver"],
    ]
    assert cells[0]["95% interval"].endswith("47 to 91%")


def test_the_leaderboard_is_filled_in(monkeypatch: Any) -> None:
    monkeypatch.setattr(conf, "leaderboard", lambda: "## Suite v1")
    source = ["# Leaderboard\n\n<!-- leaderboard -->\n"]
    conf.read_page(SimpleNamespace(), "leaderboard", source)  # type: ignore[arg-type]
    assert source == ["# Leaderboard\n\n## Suite v1\n"]


def test_data_sheets_are_the_environments_docstrings() -> None:
    source = ["# Environments\n\n<!-- sheet: dexbench/Reach-v1 -->\n"]
    app: Any = SimpleNamespace()
    conf.read_page(app, "environments", source)
    assert "Reach: bring the right hand" in source[0]
    assert "\n### Reward\n" in source[0] and "<!--" not in source[0]


@pytest.mark.parametrize("face", FACES)
def test_every_public_name_is_on_the_api_page(face: str) -> None:
    """Autodoc shows classes and functions that have a docstring; the page names the rest."""
    module = importlib.import_module(f"dexbench.{face}")
    page = (DOCS / "api.md").read_text()
    assert f".. automodule:: dexbench.{face}\n" in page
    for name in getattr(module, "__all__", ()):
        public = getattr(module, name)
        if inspect.isclass(public) or inspect.isfunction(public):
            assert public.__doc__, f"dexbench.{face}.{name} has no docstring"
        else:
            assert f"`{name}`" in page, f"docs/api.md does not name dexbench.{face}.{name}"


def test_names_of_faces_that_documents_write_are_there() -> None:
    """`dexbench.FACE.NAME` in prose or code is public, a module below the face, or a mistake."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    faces = "|".join((*FACES, "utils"))
    name = rf"\bdexbench\.({faces})\.(\w+)"
    dotted = {found for page in pages for found in re.findall(name, page.read_text())}
    imported = rf"^from dexbench\.({faces}) import (\w+(?:, \w+)*)$"
    for page in pages:
        for face, names in re.findall(imported, page.read_text(), re.MULTILINE):
            dotted |= {(face, found) for found in names.split(", ")}
    assert len(dotted) > 15
    for face, found in sorted(dotted):
        module = importlib.import_module(f"dexbench.{face}")
        below = importlib.util.find_spec(f"dexbench.{face}.{found}") if face != "testing" else None
        assert hasattr(module, found) or below, f"documents name dexbench.{face}.{found}"


def test_tests_that_a_promise_names_are_there() -> None:
    names = set(re.findall(r"`(test_\w+\.py)`", (DOCS / "reliability.md").read_text()))
    assert len(names) > 15
    assert not names - {path.name for path in (ROOT / "tests").rglob("test_*.py")}


def test_files_that_documents_name_are_there() -> None:
    root = r"(?<![\w/.])((?:envs|agents|bench|data_collection|utils|docs)/[\w/.]*[\w/])"
    pages = [*ROOT.glob("[A-Z]*.md"), *DOCS.rglob("*.md"), *DOCS.rglob("*.svg")]
    named = {
        (str(page.relative_to(ROOT)), path)
        for page in pages
        if page.name != "CHANGELOG.md"
        for path in re.findall(root, page.read_text())
    }
    assert len(named) > 50
    assert not sorted(name for name in named if not (ROOT / name[1]).exists())


def test_no_text_in_a_table_ends_its_block() -> None:
    block = leaderboard_page._raw("<td>a\n```\n````{include} x</td>").splitlines()
    assert block[0] == "```````{raw} html" and block[-1] == "```````"
