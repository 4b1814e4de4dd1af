"""How agents fare where a suite shows what training never does.

Every object of a suite is an instance that training does not have; layouts, styles and kinds of
objects are of both sorts, so those are what scores are split by.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dexbench.bench.ledger.entries import Entry
from dexbench.envs.scenes.catalogue import CATEGORIES
from dexbench.envs.scenes.layouts import LAYOUTS
from dexbench.envs.scenes.objects import INSTANCES
from dexbench.envs.scenes.styles import STYLES
from dexbench.envs.suite import Suite
from dexbench.envs.trial import Trial
from dexbench.utils.errors import UserError

ASPECTS = ("layout", "style", "kind of object")


@dataclass(frozen=True)
class Count:
    """Trials of one sort."""

    solved: int
    played: int


def is_new(trial: Trial) -> dict[str, bool]:
    """Return whether training never shows the trial's layout, style and target's kind.

    Raises:
        KeyError: The trial is not of dexbench's own kitchens and objects.
    """
    return {
        "layout": LAYOUTS[trial.recipe["layout"]].split == "suite",
        "style": STYLES[trial.recipe["style"]].split == "suite",
        "kind of object": CATEGORIES[INSTANCES[trial.instances[0]].category].held_out,
    }


def find_new(entries: Sequence[Entry]) -> dict[int, dict[str, bool]]:
    """`is_new` of every trial that some entries of one task and suite hold.

    Returns:
        By trial; empty if the suite does not come with the package, is another than was played,
        or is not of dexbench's own kitchens.
    """
    first = entries[0].rows[0]
    try:
        suite = Suite.load(first["suite"])
        if suite.hash != first["suite_hash"]:
            return {}
        indices = sorted({trial for entry in entries for trial in entry.solved})
        return {index: is_new(suite.trial(first["task"], index)) for index in indices}
    except (UserError, KeyError):
        return {}


def tally(entry: Entry, new: dict[int, dict[str, bool]]) -> dict[tuple[str, bool], Count]:
    """Return the counts of an entry's trials by aspect and whether it is new."""
    counts = {}
    for aspect in ASPECTS:
        for sort in (False, True):
            chosen = [won for trial, won in entry.solved.items() if new[trial][aspect] == sort]
            counts[aspect, sort] = Count(sum(chosen), len(chosen))
    return counts
