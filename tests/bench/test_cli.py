import importlib
import io
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from support.run_fake import COMMANDS

from dexbench.bench import cli


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --agent nosuch --task reach", "there is no agent 'nosuch'; choose one of hold,"),
        ("run --agent hodl --task reach", "did you mean 'hold'?"),
        ("run --agent hold --task juggle", "juggle"),
        ("run --agent hold --task reach --trials x", "--trials"),
        ("run --agent hold --task reach --trials 0", "--trials is 0, expected at least 1"),
        ("run --agent hold --task reach --trials 13", "suite v1 has 12 reach trials"),
        ("run --agent hold --task reach --bogus 3", "--bogus"),
        ("run --agent hold", "--task"),
        ("leaderbord", "did you mean 'leaderboard'?"),
        ("fly", "there is no command 'fly'; choose one of run, collect, "),
        ("leaderboard --ledgers nowhere", "no trials in nowhere"),
    ],
)
def test_bad_input_is_one_line_and_code_2(
    words: str, message: str, capsys: Any, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(words.split(), COMMANDS)
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == ""
    assert err.startswith("dexbench: error: ") and err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("compare results", "Missing from dexbench compare: --task STR"),
        (
            "compare --tsk grasp",
            "Missing from dexbench compare: --task STR; Unrecognized options: --tsk grasp",
        ),
        ("leaderboard --out x", "Unrecognized options: --out, x"),
        ("report --outt x", "Unrecognized options: --outt, x; Perhaps you meant: --out PATH"),
        ("report --out", "Missing value for argument '--out'. Expected 1 values."),
        ("train dexwm --out x", "Missing from dexbench train dexwm: --data PATH ..."),
        (
            "run --agent hold --task reach --workers two",
            "Error parsing --workers: invalid literal for int() with base 10: 'two'",
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_errors_of_options_say_it_once(
    encoding: str, words: str, said: str, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(SystemExit):
        cli.main(words.split())
    name = cli.find_command(words.split())
    hint = f"(`dexbench {name} --help` lists the options)"
    assert capsys.readouterr().err == f"dexbench: error: {said} {hint}\n"


def test_several_values_are_written_plainly() -> None:
    assert cli.plain_values("--data [PATH [PATH ...]]") == "--data PATH ..."
    assert cli.plain_values("[A [B ...]]") == "[A [B ...]]"


def test_run_and_leaderboard_end_to_end(capsys: Any, tmp_path: Path) -> None:
    words = ["run", "--agent", "hold", "--task", "reach", "--trials", "2"]
    cli.main(words, COMMANDS)
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["agent", "task", "success"]
    assert line.split()[:2] == ["hold", "reach"] and "/2" in line
    cli.main(["leaderboard", "--ledgers", "runs"])
    out, err = capsys.readouterr()
    assert [row.split()[:3] for row in out.splitlines()] == [
        ["agent", "task", "success"],
        ["hold", "reach", line.split()[2]],
    ]
    assert err == "wrote runs/leaderboard.csv\n"
    assert (tmp_path / "runs/leaderboard.csv").read_text().count("\n") == 2


def test_every_command_has_help(capsys: Any) -> None:
    for name, (target, summary) in cli.COMMANDS.items():
        module, _, function_name = target.partition(":")
        function = getattr(importlib.import_module(module), function_name)
        assert summary and is_dataclass(get_type_hints(function)["config"])
        with pytest.raises(SystemExit) as stop:
            cli.main([*name.split(), "--help"])
        assert stop.value.code == 0
        assert f"usage: dexbench {name}" in capsys.readouterr().out


def test_a_group_of_commands_has_help(capsys: Any) -> None:
    for words, code in ((["data", "--help"], 0), (["data"], 2)):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        out = capsys.readouterr().out
        assert stop.value.code == code and out.startswith("usage: dexbench data COMMAND")
        assert "data merge" in out and "leaderboard" not in out


@pytest.mark.parametrize("words", ["--help", "run --help", "list"])
def test_a_reader_that_leaves_early_is_no_error(words: str) -> None:
    program = f"import sys; from dexbench.bench.cli import main; main({words.split()})"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    process.stdout = None  # `communicate` would read it
    _, complaint = process.communicate(timeout=300)
    assert complaint == "" and process.returncode == 141


def test_help_imports_no_simulator() -> None:
    code = (
        "import sys; from dexbench.bench import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'mujoco', 'robosuite', 'pandas', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300)
