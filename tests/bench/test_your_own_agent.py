import re
import shlex
from pathlib import Path
from typing import Any

import fake
import pytest

from dexbench.bench import cli, runner
from dexbench.bench.ledger import read_rows

PAGE = Path(__file__).parents[2] / "docs/your_own_agent.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: Any) -> list[str]:
    """The words of the page's command, with the page's agent in the current folder."""
    text = PAGE.read_text()
    (source,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (command,) = re.findall(r"```sh\ndexbench (.*?)\n```", text)
    assert len(source.splitlines()) <= 20
    (tmp_path / "my_agent.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    return shlex.split(command)


def test_the_example_runs_as_written(example: list[str], monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(runner, "Backend", lambda: fake.BACKEND)
    cli.main(example)
    assert "my_agent:Wave" in capsys.readouterr().out
    rows = read_rows(Path("runs/v0/my_agent.Wave/reach/trials.jsonl"))
    assert len(rows) == 5 and not any(row["error"] for row in rows)
    assert rows[0]["agent_args"] == {"amplitude": 0.2}
