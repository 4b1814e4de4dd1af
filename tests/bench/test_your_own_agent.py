import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.run_fake import COMMANDS

from dexbench.agents.registry import make_agent
from dexbench.bench import cli
from dexbench.bench.ledger.ledger import read_rows

PAGE = Path(__file__).parents[2] / "docs/your_own_agent.md"


def blocks(language: str) -> list[str]:
    """The page's blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Path:
    """The current folder, with the page's agent in it."""
    source = blocks("python")[0]
    assert len(source.splitlines()) <= 20
    (tmp_path / "my_agent.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_runs_as_written(folder: Path, capsys: Any) -> None:
    (command,) = [line for line in blocks("sh") if "--trials 5 " in line]
    cli.main(shlex.split(command)[1:], COMMANDS)
    assert "my_agent:Wave" in capsys.readouterr().out
    rows = read_rows(Path("runs/v1/my_agent.Wave/reach/trials.jsonl"))
    assert len(rows) == 5 and not any(row["error"] for row in rows)
    assert rows[0]["agent_args"] == {"amplitude": 0.2}


def test_videos_are_where_the_page_says(folder: Path) -> None:
    words = "run --agent my_agent:Wave --task reach --trials 1 --video"
    assert "`dexbench run --video`" in PAGE.read_text()
    cli.main(words.split(), COMMANDS)
    assert Path("runs/v1/my_agent.Wave/reach/videos/trial-000.mp4").stat().st_size > 0


def test_the_page_checks_its_agent(folder: Path, monkeypatch: Any) -> None:
    from dexbench import testing

    asked = []

    def check_agent(name: str, **arguments: Any) -> float:
        """The real check takes a kitchen; tests/test_testing.py has it."""
        make_agent(name, amplitude=arguments["amplitude"])
        asked.append(SimpleNamespace(name=name, **arguments))
        return 0.1

    monkeypatch.setattr(testing, "check_agent", check_agent)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(blocks("python")[2], namespace)
    assert namespace["seconds"] == 0.1
    assert [(call.name, call.task, call.trials) for call in asked] == [
        ("my_agent:Wave", "reach", 1)
    ]


@pytest.mark.slow
def test_the_pages_agent_passes_the_check(folder: Path, capsys: Any) -> None:
    from dexbench import testing

    (command,) = [line for line in blocks("sh") if line.startswith("python -m dexbench.testing")]
    testing.main(shlex.split(command)[3:])
    assert "my_agent:Wave: no fault found" in capsys.readouterr().out
