"""``dexbench list``: what there is to play."""

from dataclasses import dataclass

from dexbench.agents.registry import AGENTS
from dexbench.bench.ledger.task_names import in_order


@dataclass(frozen=True)
class ListConfig:
    """Lists tasks, agents and suites."""


def listing() -> str:
    """Return the names that ``dexbench run`` takes, with a line on each."""
    from dexbench.envs.suite import Suite
    from dexbench.envs.tasks import TASKS

    lines = ["tasks (success = the criterion holds for 10 consecutive steps):"]
    lines += [f"  {name.ljust(12)} {_first_line(TASKS[name])}" for name in in_order(TASKS)]
    lines += [f"  {'module:name'.ljust(12)} Your own, of a module that calls register_task."]
    lines += ["agents (* is given the simulator's state):"]
    for spec in AGENTS.values():
        mark = "*" if spec.privileged else " "
        lines.append(f"  {(spec.name + mark).ljust(12)} {spec.description}")
    lines += ["suites:"]
    for name in Suite.names():
        suite = Suite.load(name)
        counts = ", ".join(f"{suite.trials(task)} {task}" for task in in_order(suite.tasks))
        lines.append(f"  {suite.name.ljust(12)} {counts}; hash {suite.hash[:16]}")
    return "\n".join(lines)


def main(config: ListConfig) -> None:
    """Print the list."""
    print(listing())


def _first_line(documented: object) -> str:
    return (type(documented).__doc__ or "").strip().splitlines()[0]
