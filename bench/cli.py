"""The ``dexbench`` command.

A command is a function whose argument ``config`` is a dataclass: its fields are the options and
their docstrings are the help. To add a command, name its function in `COMMANDS`. Only the module
of the command that was asked for is imported.
"""

import contextlib
import difflib
import importlib
import io
import os
import re
import select
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from dexbench import __version__
from dexbench.utils.errors import UserError
from dexbench.utils.machine_errors import explain, naming

Commands = Mapping[str, tuple[str, str]]

COMMANDS: Commands = {
    "run": ("dexbench.bench.run.runner:main", "play an agent on frozen trials and score it"),
    "collect": (
        "dexbench.data_collection.record.collect:main",
        "record exploration data by script",
    ),
    "data info": ("dexbench.data_collection.sets.info:main", "print what sets of clips hold"),
    "data verify": (
        "dexbench.data_collection.store.verify:main",
        "find what is damaged or missing in episode sets",
    ),
    "data index": (
        "dexbench.data_collection.readers.index:main",
        "check clips of robots or people, and list those that are whole",
    ),
    "data preview": (
        "dexbench.data_collection.sets.preview:main",
        "draw clips of a set as a video or a sheet",
    ),
    "data report": (
        "dexbench.data_collection.coverage.page:main",
        "write what sets of clips cover as one HTML page",
    ),
    "data merge": ("dexbench.data_collection.sets.merge:main", "make one set of several"),
    "data rerender": (
        "dexbench.data_collection.sets.rerender:main",
        "render a set again: camera, size, depth, segmentation",
    ),
    "data pack": (
        "dexbench.data_collection.sets.pack:main",
        "pack states and scenes to render elsewhere",
    ),
    "data slim": (
        "dexbench.data_collection.sets.slim:main",
        "make a small set, to train on elsewhere",
    ),
    "data export": (
        "dexbench.data_collection.export.main:main",
        "write a set for robomimic or LeRobot",
    ),
    "suite build": ("dexbench.bench.suites.build:main", "draw, solve and freeze a suite's trials"),
    "train dexwm": ("dexbench.agents.dexwm.training.train:main", "train a DexWM"),
    "train keypoint-layer": (
        "dexbench.agents.dexwm.readout.train:main",
        "train the layer that open-loop predictions are measured by",
    ),
    "train decoder": (
        "dexbench.agents.dexwm.decoding.train:main",
        "train a decoder that draws what a world model predicts",
    ),
    "train diffusion-policy": (
        "dexbench.agents.diffusion_policy.train:main",
        "train a goal-conditioned Diffusion Policy",
    ),
    "openloop": (
        "dexbench.bench.openloop.main:main",
        "measure what world models predict of recorded clips",
    ),
    "ablate": (
        "dexbench.bench.ablate.main:main",
        "train, measure and play the paper's ablations",
    ),
    "leaderboard": (
        "dexbench.bench.scores.leaderboard:main",
        "derive the leaderboard from ledgers",
    ),
    "compare": (
        "dexbench.bench.scores.compare:main",
        "compare agents on the trials that they share",
    ),
    "report": ("dexbench.bench.report.page:main", "write the results as one HTML page"),
    "verify": ("dexbench.bench.verify.verify:main", "simulate recorded actions again and compare"),
    "submit": (
        "dexbench.bench.submit.submit:main",
        "pack an agent's rows into a file for the leaderboard",
    ),
    "check": ("dexbench.bench.submit.check:main", "check a submitted file, a verdict a line"),
    "real calibrate": (
        "dexbench.bench.real.calibrate:main",
        "see whether a real robot's camera is calibrated",
    ),
    "real look": ("dexbench.bench.real.look:main", "take a goal picture with a real robot"),
    "real run": (
        "dexbench.bench.real.run:main",
        "play an agent with a real robot, and ask before it moves",
    ),
    "real tolerance": (
        "dexbench.bench.real.tolerance:main",
        "score success against a simulated robot's latency and calibration",
    ),
    "diagnose": (
        "dexbench.bench.diagnose.diagnose:main",
        "what a planner expected of every waypoint, and what came of it",
    ),
    "doctor": ("dexbench.bench.machine.doctor:main", "check this machine and the installation"),
    "list": ("dexbench.bench.listing:main", "list tasks, agents and suites"),
    "view": ("dexbench.bench.show.view:main", "show trials: a picture, a film or MuJoCo's viewer"),
    "speed control": (
        "dexbench.bench.speed.control:main",
        "time control steps against robosuite's own",
    ),
    "speed planner": (
        "dexbench.bench.speed.planner:main",
        "time plans against plain computation and the machine's limits",
    ),
    "speed rollouts": (
        "dexbench.bench.speed.rollouts:main",
        "time simulated rollouts on all cores against one process",
    ),
    "speed data": (
        "dexbench.bench.speed.data:main",
        "time the reading of clips beside the training on them",
    ),
}
"""Of each command its function, as ``module:name``, and what it does in a line."""


def main(arguments: Sequence[str] | None = None, commands: Commands = COMMANDS) -> None:
    """Run a command.

    Args:
        arguments: Words of the command line after ``dexbench``; the process's own by default.
        commands: What there is to run.

    Raises:
        SystemExit: With code 2 and one line on stderr for bad input, or where the machine fails,
            as with a full disk; 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            _dispatch(words, commands)
        finally:
            _flush_output()
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # The terminal may be gone.
            print("dexbench: interrupted; what is complete is kept", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:
        if not _reader_left():
            raise
        _drop_output()
        raise SystemExit(141) from None
    except OSError as error:
        message = explain(error)
        if message is None:
            raise
        _fail(message)


def _flush_output() -> None:
    """Write what was printed, which may be to a file."""
    try:
        with naming(Path("standard output")):
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        _drop_output()
        raise


def _drop_output() -> None:
    """Print to nowhere: Python flushes once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _reader_left() -> bool:
    """Return whether whoever reads our output has had enough, as `head` has."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _dispatch(words: list[str], commands: Commands) -> None:
    """Print help or the version, or execute a command."""
    if not words or words[0] in ("-h", "--help"):
        print(help_text(commands))
        raise SystemExit(0 if words else 2)
    if words == ["--version"]:
        print(f"dexbench {__version__}")
    elif words[1:] in ([], ["-h"], ["--help"]) and (text := help_text(commands, words[0])):
        print(text)
        raise SystemExit(0 if words[1:] else 2)
    else:
        name = find_command(words, commands)
        _execute(name, commands[name][0], words[len(name.split()) :])


def help_text(commands: Commands, group: str = "") -> str:
    """Return the list of commands, or of a group's (``data``, ``train``).

    Empty if there are none.
    """
    start = f"{group} " if group else ""
    chosen = {name: text for name, (_, text) in commands.items() if name.startswith(start)}
    if not chosen:
        return ""
    width = max(map(len, chosen))
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in chosen.items()]
    return "\n".join(
        [
            f"usage: dexbench {group or 'COMMAND'} {'COMMAND ' if group else ''}[OPTIONS]",
            "",
            "Benchmark of dexterous manipulation by world models in RoboCasa kitchens.",
            "",
            "commands:",
            *lines,
            "",
            "`dexbench COMMAND --help` lists a command's options.",
        ]
    )


def find_command(words: list[str], commands: Commands = COMMANDS) -> str:
    """Return the command that the words start with.

    Raises:
        UserError: There is none.
    """
    for name in sorted(commands, key=len, reverse=True):
        if words[: len(name.split())] == name.split():
            return name
    asked = " ".join(words[:2]) if any(c.split()[0] == words[0] for c in commands) else words[0]
    close = difflib.get_close_matches(asked, commands, n=1)
    guess = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(commands)}"
    raise UserError(f"there is no command {asked!r}; {guess}")


def _execute(name: str, reference: str, words: list[str]) -> None:
    """Parse the options of a command and call it; ``module:name`` refers to its function."""
    import tyro

    module, _, function_name = reference.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), function_name)
    config_type = get_type_hints(function)["config"]
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            config = tyro.cli(config_type, prog=f"dexbench {name}", args=words)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        _fail(f"{_flatten(complaint.getvalue())} (`dexbench {name} --help` lists the options)")
    function(config)


def _flatten(box: str) -> str:
    """Return what tyro's framed error says on one line.

    Left out are its title, which the text repeats, and the options' help texts: the paragraphs
    about help and the lines that are indented by eight or more.
    """
    paragraphs: list[list[str]] = [[]]
    # The first line is the title. tyro frames by spaces where the output's encoding is not UTF-8.
    for line in box.splitlines()[1:]:
        text = line[2:].rstrip(" │")
        if line.strip("│╰╯ ─-") == "":
            paragraphs.append([])
        elif text and not text.startswith(" " * 8):
            paragraphs[-1].append(text.strip())
    said = (" ".join(paragraph) for paragraph in paragraphs)
    kept = [text for text in said if text and not re.match("(For full|Argument) helptext", text)]
    return plain_values("; ".join(kept)) or "bad options"


def plain_values(text: str) -> str:
    """Write several values of an option as ``PATH ...``, where tyro has ``[PATH [PATH ...]]``."""
    return re.sub(r"\[(\S+) \[\1 \.\.\.\]\]", r"\1 ...", text)


def _fail(message: str) -> None:
    print(f"dexbench: error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
