"""What rows, new and old, say of planner and cost."""

from pathlib import Path
from typing import Any

import pytest
from support.runs import run_fake

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.agents.reference.kinematic import Kinematic
from dexbench.agents.registry import AGENTS, make_agent
from dexbench.bench.ledger.planning import planner_and_cost
from dexbench.bench.run.worker import describe_agent


def old_row(agent: str, **changes: Any) -> dict[str, Any]:
    return {"agent": agent, "agent_args": {}, **changes}


@pytest.mark.parametrize(
    ("agent", "arguments", "names"),
    [
        ("kinematic", {}, ("warm", "-")),
        ("kinematic", {"planner": "paper", "arm_std": 0.2}, ("paper*", "-")),
        ("sim-cem", {}, ("own", "-")),
        ("oracle", {}, ("cem-32", "-")),
        ("dexwm-32", {}, ("cem-32", "predicted")),
        ("dexwm", {}, ("cem", "predicted")),
        ("dexwm-warm", {}, ("warm", "own-hand")),
        ("dexwm", {"planner": "paper"}, ("paper", "paper")),
        ("dexwm", {"cost": {"mu": 0.1}, "tile": 8}, ("cem*", "predicted*")),
        ("prior", {}, ("-", "-")),
        ("random", {"arm_std": 0.2}, ("-", "-")),
        ("hold", {}, ("-", "-")),
    ],
)
def test_rows_name_planner_and_cost(
    agent: str, arguments: dict[str, Any], names: tuple[str, str]
) -> None:
    row = describe_agent(*make_agent(agent, **arguments))
    assert planner_and_cost(row) == names


def test_a_run_records_the_names(tmp_path: Path) -> None:
    (row,) = run_fake(tmp_path, "prior", trials=1)
    assert row["planner"] is None and row["cost"] is None and row["settings_hash"]


def test_older_rows_are_told_by_their_settings() -> None:
    digest = DexWM(planner="mppi", cost="own-hand").settings_hash
    assert planner_and_cost(old_row("mine", settings_hash=digest)) == ("mppi", "own-hand")
    digest = Kinematic().settings_hash
    assert planner_and_cost(old_row("mine", settings_hash=digest)) == ("warm", "-")
    digest = WaypointAgent(arm_std=0.2).settings_hash
    assert planner_and_cost(old_row("mine", settings_hash=digest)) == ("unknown", "unknown")


def test_older_rows_are_told_by_their_arguments() -> None:
    arguments = {"planner": "cold", "cost": "anywhere", "weights": "x"}
    assert planner_and_cost(old_row("mine", agent_args=arguments)) == ("cold", "anywhere")
    arguments = {"planner": "cold", "arm_std": 0.2}
    assert planner_and_cost(old_row("mine", agent_args=arguments)) == ("cold*", "unknown")
    assert planner_and_cost(old_row("mine", agent_args={"arm_std": 0.2})) == ("unknown", "unknown")


def test_older_rows_of_agents_that_plan_nothing() -> None:
    digest = WaypointAgent().settings_hash  # `prior` has these settings and does not use them
    prior = old_row("x", settings_hash=digest, entry_point=AGENTS["prior"].entry_point)
    assert planner_and_cost(prior) == ("-", "-")
    assert planner_and_cost(old_row("mine", settings_hash=None)) == ("-", "-")
    assert planner_and_cost(old_row("expert")) == ("-", "-")
    # A planner that was given the name of an agent that does not plan.
    named = old_row("hold", settings_hash=digest, entry_point=AGENTS["kinematic"].entry_point)
    assert planner_and_cost(named) == ("cem", "-")


def test_the_registry_knows_who_plans() -> None:
    for name, spec in AGENTS.items():
        agent, _ = make_agent(name)
        assert spec.plans == (getattr(agent, "planner_name", None) is not None), name
