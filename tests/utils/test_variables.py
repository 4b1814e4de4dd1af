import os
from typing import Any

import pytest

from dexbench.utils.variables import variables


def test_variables_are_restored_also_after_an_error(monkeypatch: Any) -> None:
    monkeypatch.setenv("ONE", "before")
    monkeypatch.setenv("TWO", "before")
    monkeypatch.delenv("THREE", raising=False)
    values = {"ONE": "inside", "TWO": None, "THREE": "inside"}
    with pytest.raises(OSError), variables(values):
        assert {name: os.environ.get(name) for name in values} == values
        raise OSError
    assert os.environ["ONE"] == os.environ["TWO"] == "before" and "THREE" not in os.environ
