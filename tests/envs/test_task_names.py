import gymnasium

from dexbench.envs import task_envs
from dexbench.envs.suite import VIEWS, Suite
from dexbench.envs.task_names import SUITE_TASKS, TASKS, env_id, suite_of
from dexbench.envs.tasks import TASKS as RULES


def test_every_task_has_its_rules_its_environment_and_its_suite():
    own = [name for name, rules in RULES.items() if rules.__module__.startswith("dexbench.")]
    assert own == list(TASKS)
    ids = [name for name in gymnasium.registry if name.startswith("dexbench/")]
    assert ids == [env_id(task) for task in TASKS]
    for task in TASKS:
        module, _, name = gymnasium.spec(env_id(task)).entry_point.partition(":")
        assert module == task_envs.__name__ and getattr(task_envs, name).task_name == task
    for name in Suite.names():
        whole, _ = VIEWS.get(name, (name, None))
        assert set(Suite.load(name).tasks) == set(SUITE_TASKS[whole])


def test_a_task_knows_its_suite():
    assert [suite_of(task) for task in ("place", "avoid", "lift")] == ["v1", "v2", "v1"]
