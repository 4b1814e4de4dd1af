"""The ledgers of several agents side by side, and whether their trials may be paired."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from dexbench.utils.errors import UserError
from dexbench.utils.files import find_files

from .ledger import ROWS_FILE, read_rows
from .rows import Row, check_compatible, check_complete, hides_robot, play_key

KEYS = {
    *("agent", "task", "suite", "suite_hash", "trial", "success", "steps_to_success", "distances"),
    *("final_distance", "min_distance", "held_at_end", "error", "privileged", "pretraining"),
    *("agent_args", "weights_hash", "threads", "versions", "renderer", "timing"),
}
"""What every row has; ``held_distance`` came later and may be missing."""

MUST_AGREE: dict[str, Callable[[Row], str]] = {
    "suite": lambda row: f"{row['suite']} {row['suite_hash'][:12]}",
    "MuJoCo": lambda row: str(row["versions"].get("mujoco")),
    "OpenGL renderer": lambda row: str(row.get("renderer")),
}
"""In what two trials must agree to be a pair: the scene, its physics and its pictures."""


@dataclass(frozen=True)
class Entry:
    """What one agent scored on one task."""

    agent: str
    task: str
    privileged: bool
    rows: list[Row]
    """By trial number; at least one."""
    repeats: list[Row] = field(default_factory=list)
    """The further plays of `dexbench run --repeats`, by trial and repeat."""

    @property
    def hidden(self) -> bool:
        """Whether the goals were drawn without the robot, by ``--hide-robot``."""
        return hides_robot(self.rows[0])

    @property
    def solved(self) -> dict[int, bool]:
        """Success by trial number."""
        return {row["trial"]: bool(row["success"]) for row in self.rows}

    @property
    def rates(self) -> dict[int, float]:
        """Share of successes in all plays of a trial, by its number."""
        plays: dict[int, list[bool]] = {row["trial"]: [] for row in self.rows}
        for row in (*self.rows, *self.repeats):
            if row["trial"] in plays:
                plays[row["trial"]].append(bool(row["success"]))
        return {trial: sum(solved) / len(solved) for trial, solved in plays.items()}


def read_entries(folders: Sequence[Path]) -> list[Entry]:
    """Read every ledger under some folders.

    Args:
        folders: Searched for `ROWS_FILE`.

    Returns:
        An entry for each ledger that has rows, in the order of their paths.

    Raises:
        UserError: There is none, one is damaged or mixes what cannot be compared, or two hold
            the same agent, suite and task.
    """
    paths: dict[tuple[str, ...], Path] = {}
    entries: list[Entry] = []
    for path in sorted({path for folder in folders for path in find_files(folder, ROWS_FILE)}):
        # Repeats of a trial are not further trials: scores count the first.
        every = sorted(read_rows(path), key=play_key)
        rows = [row for row in every if play_key(row)[1] == 0]
        if not rows:
            continue
        check_complete(every, KEYS, path)
        check_compatible(every, rows[0], path)
        first_row = rows[0]
        key = (first_row["suite_hash"], first_row["task"], first_row["agent"])
        if key in paths:
            raise UserError(
                f"{paths[key]} and {path} both hold {first_row['agent']} on {first_row['suite']} "
                f"{first_row['task']}; leave one out or give it another --name"
            )
        paths[key] = path
        repeats = [row for row in every if play_key(row)[1] > 0]
        privileged = bool(first_row["privileged"])
        entries.append(Entry(first_row["agent"], first_row["task"], privileged, rows, repeats))
    if not entries:
        raise UserError(
            f"no trials in {' '.join(map(str, folders))}; `dexbench run --out FOLDER` makes some"
        )
    return entries


def first_trials(entries: Sequence[Entry], trials: int) -> list[Entry]:
    """Return the entries with the first so many trials of the suite, without those that are empty.

    Args:
        entries: The rows.
        trials: How many, at least 1.
    """
    shorter = [
        replace(entry, rows=[row for row in entry.rows if row["trial"] < trials])
        for entry in entries
    ]
    return [entry for entry in shorter if entry.rows]


def leave_hidden(entries: Sequence[Entry]) -> list[Entry]:
    """Leave out entries whose goals were drawn without the robot, unless there are no others."""
    return [entry for entry in entries if not entry.hidden] or list(entries)


def played_alike(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that can be paired with most others: the largest group that agrees.

    Args:
        entries: Of one task.

    Returns:
        Those that agree in `MUST_AGREE`, or all if no group is larger than each of the others. An
        entry whose own rows differ is in no group.
    """
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        facts = [{fact(row) for row in entry.rows} for fact in MUST_AGREE.values()]
        if all(len(values) == 1 for values in facts):
            groups.setdefault(tuple(min(values) for values in facts), []).append(entry)
    first, second = ([], [], *sorted(groups.values(), key=len))[-1:-3:-1]
    return first if len(first) > len(second) else list(entries)


def check_agree(entries: Sequence[Entry], names: Sequence[str]) -> None:
    """Check that rows agree in some of `MUST_AGREE`.

    Args:
        entries: The rows.
        names: Keys of `MUST_AGREE`.

    Raises:
        UserError: Two rows differ in one of them.
    """
    for name in names:
        agent_of: dict[str, str] = {}
        for entry in entries:
            for row in (*entry.rows, *entry.repeats):
                agent_of.setdefault(MUST_AGREE[name](row), entry.agent)
        if len(agent_of) > 1:
            (value, agent), (other_value, other_agent), *_ = agent_of.items()
            cure = (
                "name folders of one suite"
                if name == "suite"
                else "leave one out, or play it again like the other"
            )
            raise UserError(
                f"the {name} differs: {agent} was played with {value}, "
                f"{other_agent} with {other_value}. "
                f"Trials pair only where suite, MuJoCo and OpenGL renderer are the same: {cure}"
            )


def check_pairable(entries: Sequence[Entry]) -> None:
    """Refuse to pair trials that are not the same trial, or not simulated or drawn alike.

    Args:
        entries: Of one task.

    Raises:
        UserError: Two rows differ in one of `MUST_AGREE`, or two agents share no trial.
    """
    check_agree(entries, tuple(MUST_AGREE))
    for entry, other in combinations(entries, 2):
        if not entry.solved.keys() & other.solved.keys():
            raise UserError(
                f"{entry.agent} and {other.agent} share no trial of {entry.task}: play both on the "
                "same trials"
            )
