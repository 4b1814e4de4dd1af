"""What a submitted row must look like: its keys, their types, and one agent on one suite."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dexbench.bench.ledger.rows import HIDDEN, Row, check_compatible, hides_robot, is_agent_name
from dexbench.envs.suite import Suite
from dexbench.envs.task_names import TASKS
from dexbench.utils.errors import UserError

NOTHING = type(None)
Types = dict[str, tuple[type, ...]]

FIELDS: Types = {
    **dict.fromkeys(("agent", "task", "suite", "suite_hash", "trial_hash", "actions_hash"), (str,)),
    **dict.fromkeys(("pretraining", "dtype", "renderer"), (str,)),
    **dict.fromkeys(("trial", "repeat", "seed", "threads"), (int,)),
    **dict.fromkeys(("privileged", "success", "held_at_end"), (bool,)),
    **dict.fromkeys(("final_distance", "min_distance"), (float, int)),
    **dict.fromkeys(("weights_hash", "error"), (str, NOTHING)),
    **dict.fromkeys(("agent_args", "versions", "timing"), (dict,)),
    "steps_to_success": (int, NOTHING),
    "held_distance": (float, int, NOTHING),
    "distances": (list,),
}
"""Of every row."""
LATER: Types = {
    **dict.fromkeys(("entry_point", "planner", "cost", "settings_hash"), (str, NOTHING)),
    "hide_robot": (bool,),
}
"""What earlier rows lack."""
FREE = ("error", "agent_args")
"""What may hold any text: no Markdown shows it, and HTML escapes it."""
LONGEST = 200
"""Characters of any other text."""
MARKUP = set("`|<>[]")
"""What other texts may not hold: pages show them."""
LARGEST = 2**64
"""Numbers are below it, as all seeds are."""
TIMING: Types = {
    **dict.fromkeys(("wall_s", "decision_s", "sim_s"), (float, int)),
    "decisions": (int,),
    "finished_at": (str,),
}


def faults(rows: Sequence[Row]) -> list[str]:
    """Return what is wrong with the form of rows, which may be any dicts: one fault a row."""
    firsts = ((number, next(_of_row(row), None)) for number, row in enumerate(rows))
    found = [f"row {number}: {fault}" for number, fault in firsts if fault]
    return found or list(_together(rows))


def _of_row(row: Row) -> Iterator[str]:
    yield from _types(row, FIELDS, LATER, "row")
    yield from _types(row["timing"], TIMING, {}, "timing")
    if any(type(value) not in (float, int) for value in row["distances"]) or not row["distances"]:
        yield "distances are not numbers"
    if any(type(value) is not str for value in row["versions"].values()):
        yield "versions are not texts"
    yield from _plain({key: value for key, value in row.items() if key not in FREE})
    if row["task"] not in TASKS:
        yield f"task {row['task']!r:.80} is none of dexbench's"
    if not is_agent_name(row["agent"]):
        yield f"no agent may be called {row['agent']!r:.80}"
    if row["agent"].endswith(HIDDEN) != hides_robot(row):
        yield f"{row['agent']!r:.80}: names end with {HIDDEN} where the goal hides the robot, only"
    if row["suite"] not in Suite.names():
        yield f"suite {row['suite']!r:.80} does not come with dexbench"
    if row["timing"]["decisions"] < 0 or any(row["timing"][key] < 0 for key in list(TIMING)[:3]):
        yield "a time is below 0"


def _types(found: Row, needed: Types, allowed: Types, what: str) -> Iterator[str]:
    """Say which keys are missing, unknown, or hold what they should not."""
    if missing := sorted(needed.keys() - found.keys()):
        yield f"the {what} lacks {', '.join(missing)}"
    for key, value in found.items():
        types = {**needed, **allowed}.get(key)
        if types is None:
            yield f"the {what} has an unknown key {key!r:.80}"
        elif type(value) not in types:  # True is an int to isinstance.
            yield f"{key} is {value!r:.80}, expected {types[0].__name__}"


def _plain(value: Any) -> Iterator[str]:
    """Say what is no number that counts, or no short line of text without markup."""
    if isinstance(value, dict):
        yield from _plain([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for part in value:
            yield from _plain(part)
    elif isinstance(value, str):
        if len(value) > LONGEST or not value.isprintable() or MARKUP & set(value):
            yield (
                f"{value!r:.80} is none of at most {LONGEST} printable characters without "
                f"{' '.join(sorted(MARKUP))}"
            )
    elif isinstance(value, int | float) and not abs(value) < LARGEST:
        yield "a number is 2**64 or more"


def _together(rows: Sequence[Row]) -> Iterator[str]:
    """Say in what rows differ that should be of one agent on one suite, simulated alike."""
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row)
    for task, alike in by_task.items():
        try:
            check_compatible(alike, alike[0], Path(task))
        except UserError as error:
            yield str(error).partition(":")[0]
    alike_in: dict[str, set[str]] = {
        "agent": {row["agent"] for row in rows},
        "suite": {f"{row['suite']} {row['suite_hash']:.12}" for row in rows},
        "hide_robot": {str(hides_robot(row)) for row in rows},
    }
    for what, found in alike_in.items():
        if len(found) > 1:
            yield f"the {what} differs: {', '.join(sorted(found))}"
