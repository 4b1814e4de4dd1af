import signal
import threading
from contextlib import suppress

import pytest
from support.signals import at_a_terminal  # noqa: F401 - a fixture

from dexbench.utils.signals import ENDS, handled, uninterrupted

pytestmark = pytest.mark.usefixtures("at_a_terminal")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_waits_for_what_is_written(number: signal.Signals) -> None:
    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    written = []
    with handled(ENDS, stop), pytest.raises(KeyboardInterrupt):
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            written.append("all of it")
        written.append("and more")
    assert written == ["all of it"]


def test_handlers_come_back_also_after_an_error() -> None:
    before = [signal.getsignal(number) for number in ENDS]
    with suppress(ValueError), uninterrupted():
        raise ValueError
    assert [signal.getsignal(number) for number in ENDS] == before


def test_what_a_process_ignores_stays_ignored() -> None:
    came: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handled(ENDS, lambda number, frame: came.append(number)):
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
        assert came == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_nothing() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def write() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert seen == [before]
