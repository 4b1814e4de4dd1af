from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from dexbench.bench.show import gallery, view
from dexbench.bench.show.view import ViewConfig
from dexbench.envs.scenes.layouts import LAYOUTS
from dexbench.envs.scenes.objects import INSTANCES
from dexbench.envs.scenes.styles import STYLES
from dexbench.envs.suite import Suite
from dexbench.utils.errors import UserError


def test_every_layout_and_style_has_a_picture_and_stars_mark_what_suites_keep() -> None:
    cells = list(gallery.named_recipes(2))
    assert {recipe["layout"] for _, recipe in cells} == set(LAYOUTS)
    assert {recipe["style"] for _, recipe in cells} == set(STYLES)
    for title, recipe in cells:
        layout, style = title.split(", ")
        assert layout.endswith("*") == (LAYOUTS[str(recipe["layout"])].split == "suite")
        assert style.endswith("*") == (STYLES[str(recipe["style"])].split == "suite")


def test_a_saved_page_keeps_the_colours_of_small_things(tmp_path: Path) -> None:
    page = np.random.default_rng(0).integers(90, 170, (300, 400, 3)).astype(np.uint8)
    page[100:106, 200:206] = (230, 20, 20)
    gallery.save(page, tmp_path / "deep" / "page.png")
    saved = imageio.imread(tmp_path / "deep" / "page.png")[..., :3].astype(int)
    assert np.abs(saved[103, 203] - (230, 20, 20)).max() < 30
    assert np.abs(saved - page).mean() < 12


@pytest.mark.slow
def test_held_objects_are_beneath_the_hand() -> None:
    """Every category of the mini suite's place trials has a cell, and the hand is in it."""
    suite = Suite.load("mini")
    page = gallery.held(suite)
    categories = {
        INSTANCES[suite.trial("place", index).instances[0]].category
        for index in range(suite.trials("place"))
    }
    cells = -(-len(categories) // gallery.HELD_ACROSS)
    assert page.shape[0] == cells * (gallery.HELD + gallery.LINE + 4)
    for index in range(len(categories)):
        left = index % gallery.HELD_ACROSS * (gallery.HELD + 4) + 2
        top = index // gallery.HELD_ACROSS * (gallery.HELD + gallery.LINE + 4) + gallery.LINE
        cell = page[top : top + gallery.HELD, left : left + gallery.HELD]
        assert (cell.max(-1) < 70).mean() > 0.1, "the Allegro hand is black"


def test_the_command_draws_scenes_and_names_a_bad_path(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    page = np.full((20, 30, 3), 90, np.uint8)
    monkeypatch.setattr(gallery, "objects", lambda: page)
    view.main(ViewConfig(scenes="objects", out=tmp_path / "objects.png"))
    assert imageio.imread(tmp_path / "objects.png").shape[:2] == (20, 30)
    assert "wrote" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another --out"):
        view.main(ViewConfig(scenes="objects", out=tmp_path / "file" / "objects.png"))
