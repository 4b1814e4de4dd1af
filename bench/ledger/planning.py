"""What a row says of its agent's planner and cost, by their names."""

import dataclasses
from functools import cache

from dexbench.agents.registry import AGENTS

from .rows import Row

NONE = "-"
"""The agent does not plan, or has one cost of its own."""
UNKNOWN = "unknown"
"""The row is older than these names, and holds nothing that tells them."""


def planner_and_cost(row: Row) -> tuple[str, str]:
    """Return the names of planner and cost, with a star where a setting was changed.

    Rows name both. Of an older row they are derived, where its arguments or its settings tell.

    Args:
        row: A ledger's row.

    Returns:
        The two names; `NONE` or `UNKNOWN` where there is none.
    """
    if "planner" in row:
        return str(row["planner"] or NONE), str(row.get("cost") or NONE)
    if _plans_nothing(row):
        return NONE, NONE
    return _named_settings().get(row.get("settings_hash")) or _from_arguments(row)


def _plans_nothing(row: Row) -> bool:
    """Return whether the row's agent is known to plan nothing."""
    if "settings_hash" in row and row["settings_hash"] is None:
        return True
    entry_point = row.get("entry_point")
    return any(
        not spec.plans
        for spec in AGENTS.values()
        if (spec.entry_point == entry_point if entry_point else spec.name == row["agent"])
    )


@cache
def _named_settings() -> dict[str | None, tuple[str, str]]:
    """Return the names of planner and cost by the hash of the settings that they have today."""
    from dexbench.agents.dexwm.cost_config import COSTS
    from dexbench.agents.planning.planner_config import PLANNERS
    from dexbench.agents.planning.waypoint_agent import hash_settings

    names: dict[str | None, tuple[str, str]] = {}
    for planner, config in PLANNERS.items():
        settings = {"planner": dataclasses.asdict(config)}
        names[hash_settings(settings)] = planner, NONE
        for cost, cost_config in COSTS.items():
            both = {**settings, "cost": cost_config.settings()}
            names[hash_settings(both)] = planner, cost
    return names


def _from_arguments(row: Row) -> tuple[str, str]:
    """Return what ``--planner`` and ``--agent-args`` named."""
    from dexbench.agents.planning.planner_config import PlannerConfig

    arguments = row.get("agent_args", {})
    changed = arguments.keys() & {field.name for field in dataclasses.fields(PlannerConfig)}
    planner, cost = arguments.get("planner", UNKNOWN), arguments.get("cost", UNKNOWN)
    return f"{planner}*" if changed and planner != UNKNOWN else str(planner), str(cost)
