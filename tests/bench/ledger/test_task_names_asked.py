"""Which tasks ``--task`` asks for."""

import pytest

from dexbench.bench.ledger.task_names import resolve
from dexbench.envs.task_names import TASKS
from dexbench.utils.errors import UserError


def test_all_is_all_of_the_suite_in_the_order_of_tables():
    assert resolve("all") == TASKS
    assert resolve("all", ("place", "reach")) == ("reach", "place")
    assert resolve("all", ("avoid", "push", "carry")) == ("push", "carry", "avoid")
    assert resolve("carry", ("reach",)) == ("carry",)


@pytest.mark.parametrize("asked", [("juggle",), ("all", ("reach", "juggle"))])
def test_a_task_that_nobody_knows_is_refused(asked):
    with pytest.raises(UserError, match="there is no task 'juggle'"):
        resolve(*asked)
