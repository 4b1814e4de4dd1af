import errno
import os
from pathlib import Path

import pytest

from dexbench.utils.machine_errors import PATH, SYSTEM, explain, naming


@pytest.mark.parametrize("number", [*SYSTEM, *PATH])
def test_an_error_that_names_a_file_is_explained(number: int) -> None:
    told = explain(OSError(number, os.strerror(number), "/sets/one"))
    assert told is not None and "/sets/one: " in told and "; " in told
    alone = explain(OSError(number, os.strerror(number)))
    assert (alone is not None) == (number in SYSTEM)


def test_what_code_can_cause_is_not_explained() -> None:
    assert explain(OSError(errno.EBADF, "Bad file descriptor", "/sets/one")) is None
    assert explain(OSError("no number")) is None
    assert explain(ConnectionResetError(errno.ECONNRESET, "reset")) is None


@pytest.mark.parametrize(
    ("raised", "named"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "/out/set"),
        (
            OSError(errno.EACCES, "Permission denied", "/out/.set.7.tmp/videos/1"),
            "/out/set/videos/1",
        ),
        (OSError(errno.EACCES, "Permission denied", "/elsewhere"), "/elsewhere"),
        # As HDF5 words it.
        (
            OSError("Can't write data (file write failed: errno = 28, error message = 'x')"),
            "/out/set",
        ),
    ],
)
def test_an_error_names_the_file_and_not_its_draft(raised: OSError, named: str) -> None:
    with pytest.raises(OSError) as caught, naming(Path("/out/set"), Path("/out/.set.7.tmp")):
        raise raised
    assert caught.value.filename == named and explain(caught.value)
