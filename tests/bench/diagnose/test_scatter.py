"""The picture of predicted against true cost."""

import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from dexbench.bench.diagnose.candidates import Iteration, Judged
from dexbench.bench.diagnose.scatter import scatter

ELITES = np.array([0])


def judged(chosen: float = 0.1) -> Judged:
    first = Iteration(np.array([1.0, 2, 3]), np.array([0.1, 0.2, np.inf]), ELITES)
    last = Iteration(np.array([0.5, 1.5]), np.array([0.3, 0.3]), ELITES)
    return Judged(first, last, 0.5, chosen)


def test_a_panel_for_each_task_and_the_same_bytes_again() -> None:
    one, two = scatter({"reach": [judged()]}), scatter({"reach": [judged()], "place": [judged()]})
    sizes = [Image.open(io.BytesIO(png)).size for png in (one, two)]
    assert sizes[1] == (2 * sizes[0][0], sizes[0][1])
    assert scatter({"reach": [judged()]}) == one
    assert scatter({"reach": [judged(0.15)]}) != one


def test_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, labels = {}, []
    monkeypatch.setattr(
        Axes, "scatter", lambda self, x, y, label, **_: drawn.update({label: (x, y)})
    )
    monkeypatch.setattr(Axes, "legend", lambda self, **_: None)
    monkeypatch.setattr(Axes, "set_xlabel", lambda self, text, **_: labels.append(text))
    monkeypatch.setattr(Axes, "set_ylabel", lambda self, text, **_: labels.append(text))
    same = Iteration(np.ones(2), np.ones(2), ELITES)
    scatter({"reach": [judged(), Judged(same, same, 1.0, 1.0), judged()]})
    # The first candidates are one standard deviation from their mean; true cost lies along x.
    first, last = drawn["first candidates"], drawn["last candidates"]
    np.testing.assert_allclose(first[0], [-1, 1, np.nan] * 2)
    np.testing.assert_allclose(first[1], [-1, 1, 3] * 2)
    np.testing.assert_allclose(last[0], [3, 3] * 2)
    np.testing.assert_allclose(last[1], [-2, 0] * 2)
    np.testing.assert_allclose(drawn["plan chosen"], [[-1, -1], [-2, -2]])
    assert [text.split()[0] for text in labels] == ["true", "predicted"]


def test_nothing_to_draw_is_an_empty_panel() -> None:
    assert Image.open(io.BytesIO(scatter({"reach": []}))).format == "PNG"
