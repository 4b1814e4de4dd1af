import os
import signal

import pytest

from dexbench.utils.errors import UserError
from dexbench.utils.pool import map_in_processes


def square(number: int) -> tuple[int, int]:
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2, os.getpid()


@pytest.mark.parametrize("workers", (1, 2))
def test_results_come_in_the_order_of_the_jobs(workers):
    results = list(map_in_processes(square, range(20), workers, "squared"))
    assert [value for value, _ in results] == [number**2 for number in range(20)]
    assert (os.getpid() in {process for _, process in results}) == (workers == 1)


def test_a_killed_process_is_reported_in_a_sentence():
    with pytest.raises(UserError, match="that squared was killed"):
        list(map_in_processes(square, [1, -1, 2], 2, "squared"))
