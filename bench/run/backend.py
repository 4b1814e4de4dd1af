"""Where a run's environments and suites come from: dexbench's own, or a test's."""

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium


class Trials(Protocol):
    """What the runner asks of a suite."""

    name: str
    """As ledgers call it."""

    @property
    def hash(self) -> str:
        """What tells two suites of one name apart."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the suite."""

    def trials(self, task: str) -> int:
        """Return the number of trials of a task; 0 where there are none."""


@dataclass(frozen=True)
class Backend:
    """Names of environments and suites; plain strings, since worker processes import them anew."""

    module: str = "dexbench"
    """Imported in every worker: it registers the environments."""
    env_id: str = "dexbench/{}-v1"
    """Gymnasium id, with the capitalised task in the braces; a task without one gets dexbench's
    own environment. What it makes is an `environment.Environment`."""
    suite: str = "dexbench.envs.suite:Suite"
    """``module:Class`` with ``load(name)``, which returns `Trials`."""

    def load_suite(self, name: str) -> Trials:
        """Return a suite by name or by the path of its folder."""
        module, _, class_name = self.suite.partition(":")
        suite: Trials = getattr(importlib.import_module(module), class_name).load(name)
        return suite

    def make_env(self, task: str) -> gymnasium.Env[Any, Any]:
        """Return a new environment of a task that this process knows."""
        importlib.import_module(self.module)
        env_id = self.env_id.format(task.capitalize())
        if env_id in gymnasium.registry:
            return gymnasium.make(env_id)
        from dexbench.envs.task_envs import make_env

        return make_env(task)


DEXBENCH = Backend()
"""dexbench's own environments and suites."""
