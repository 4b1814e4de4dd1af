"""`data info`, `preview` and `report` on what other people recorded."""

import numpy as np
import pytest
from PIL import Image
from support.recorded import write_droid, write_egodex, write_lerobot
from support.small_set import fill

from dexbench.data_collection.coverage import page, plots
from dexbench.data_collection.coverage.page import CoverageConfig
from dexbench.data_collection.export.main import ExportConfig
from dexbench.data_collection.export.main import main as export
from dexbench.data_collection.readers.index import IndexConfig
from dexbench.data_collection.readers.index import main as write_index
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.sets.info import InfoConfig, facts, main
from dexbench.data_collection.sets.opened import open_set
from dexbench.data_collection.sets.preview import LINE, TILE, PreviewConfig, film
from dexbench.data_collection.sets.preview import main as preview
from dexbench.data_collection.store.egodex import EgoDexStore
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of each layout."""
    root = tmp_path_factory.mktemp("layouts")
    for seed, name in enumerate(("part1/fold/0", "part1/fold/1", "test/pour/0")):
        write_egodex(root / "egodex", name, frames=30, seed=seed)
    write_droid(root / "droid")
    write_lerobot(root / "lerobot")
    fill(root / "robot")
    return root


def test_info_of_every_layout_is_side_by_side(folders, capsys):
    names = ("robot", "egodex", "droid", "lerobot")
    main(InfoConfig(tuple(folders / name for name in names)))
    out = capsys.readouterr().out.splitlines()

    def row(name):
        (line,) = (line for line in out if line.startswith(f"{name}  "))
        return [cell.strip() for cell in line[len(name) :].split("  ") if cell.strip()]

    assert out[0].split() == list(names)
    assert row("layout") == ["dexbench", "egodex", "droid", "lerobot-droid"]
    assert row("clips") == ["12 (train)", "3 (2 of train, 1 of test)", "1 (train)", "3 (train)"]
    assert row("frames") == ["36", "90", "19", "36"]
    assert row("frames a second") == ["10", "30", "15", "15"]
    assert row("left hand")[:2] == ["in 0 % of the frames", "in 100 % of the frames"]
    assert row("keypoints seen")[1:] == ["100 %"] + ["none, they stand for a gripper"] * 2
    assert row("camera") == [f"moves in {n} clips" for n in (0, 3, 0, 0)]
    assert row("scenes") == ["3", "-", "-", "-"] and row("strategy")[0] == "programmatic"
    assert out[-1] == "- nothing of the kind is recorded there"


def test_of_one_set_nothing_is_missing(folders, capsys):
    main(InfoConfig((folders / "egodex",)))
    assert "nothing of the kind" not in capsys.readouterr().out


def test_released_files_have_facts_too(real_set, tmp_path):
    export(ExportConfig(real_set, "robomimic", tmp_path / "demos.hdf5"))
    found = facts(open_set(tmp_path / "demos.hdf5"))
    assert found["layout"] == "robocasa-hdf5" and found["frames a second"] == "10"
    assert found["right hand"] == "in 100 % of the frames" and float(found["GB"]) > 0


def test_an_index_stands_for_its_folder(folders, tmp_path, capsys):
    write_index(IndexConfig(folders / "egodex", tmp_path / "index.json"))
    assert open_set(tmp_path / "index.json") == open_set(folders / "egodex")
    main(InfoConfig((tmp_path / "index.json",)))
    assert "egodex" in capsys.readouterr().out
    preview(PreviewConfig(tmp_path / "index.json", tmp_path / "a.png"))
    assert (tmp_path / "a.png").is_file()


def test_clips_that_are_left_out_are_told(folders, tmp_path, capsys):
    for number in range(2):
        write_egodex(tmp_path / "set", f"part1/fold/{number}", frames=3, seed=number)
    (tmp_path / "set/part1/fold/0.hdf5").unlink()
    main(InfoConfig((tmp_path / "set",)))
    out = capsys.readouterr().out
    assert [line.split()[2:] for line in out.splitlines() if line.startswith("left out")] == [
        ["1", "clips"]
    ]
    assert "`dexbench data index` says why clips are left out" in out
    preview(PreviewConfig(tmp_path / "set", tmp_path / "a.png"))
    assert "1 of 1 clips; 1 more are damaged" in capsys.readouterr().out


def test_a_damaged_robot_set_says_how_to_mend_it(tmp_path):
    root = fill(tmp_path / "set", 4)
    (root / "videos" / "000001.mp4").write_bytes(b"")
    with pytest.raises(UserError, match="000001.mp4 is missing or damaged.*data verify"):
        preview(PreviewConfig(root, tmp_path / "a.png"))


def test_a_film_plays_in_real_time_whatever_the_rate(folders):
    index = open_set(folders / "egodex")
    clip = open_layout(index.root).clip(index.clips[0].name)
    frames = film(clip, index.clips[0])
    assert frames.shape == (10, *TILE, 3), "30 frames at 30 Hz are a second"
    blue = frames[:, :, :, 2].mean((1, 2))
    assert np.abs(blue - 10 * (3 * np.arange(10) % 20)).max() < 6, "every third frame"


def test_previews_of_every_layout(folders, tmp_path):
    for name in ("egodex", "droid", "lerobot"):
        preview(PreviewConfig(folders / name, tmp_path / f"{name}.png", columns=3, rows=2))
        page = np.asarray(Image.open(tmp_path / f"{name}.png"))
        clips = min(len(open_set(folders / name).clips), 2)
        assert page.shape == (clips * (TILE[0] + LINE), 3 * TILE[1], 3)
    preview(PreviewConfig(folders / "egodex", tmp_path / "a.mp4", columns=2, rows=2))
    assert read_video(tmp_path / "a.mp4").shape == (10, 2 * (TILE[0] + LINE), 2 * TILE[1], 3)


def test_kinds_are_found_in_names_and_descriptions(folders, tmp_path, capsys):
    preview(PreviewConfig(folders / "egodex", tmp_path / "a.png", kind="pour"))
    assert "1 of 1 clips" in capsys.readouterr().out
    preview(PreviewConfig(folders / "egodex", tmp_path / "a.png", kind="Stack the cups"))
    assert "3 of 3 clips" in capsys.readouterr().out
    with pytest.raises(UserError, match="no such clips; it has Stack the cups."):
        preview(PreviewConfig(folders / "egodex", tmp_path / "a.png", kind="juggle"))


def test_the_page_shows_what_applies(folders, tmp_path):
    page.main(CoverageConfig((folders / "egodex", folders / "droid"), tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text()
    assert "None of these sets records joints, contacts or kitchens." in html
    assert "Wrists before the camera" in html and "Speeds of hands and camera" in html
    assert "Contact, touch and lift" not in html and "Histograms of the achieved" not in html
    assert html.count("data:video/mp4") == 2 and html.count("none, they stand for a gripper") == 1
    assert "median over 0.1 s, left wrist" in html


def test_robots_come_first_and_alone_have_joints(folders, tmp_path, monkeypatch):
    for plot in ("joints", "errors", "speed_histograms", "kitchens"):
        monkeypatch.setattr(plots, plot, lambda sets: f"<svg>{len(sets)} robots</svg>")
    page.main(CoverageConfig((folders / "egodex", folders / "robot"), tmp_path / "a.html"))
    html = (tmp_path / "a.html").read_text()
    assert "Joints, contacts and kitchens are of robot alone." in html
    assert html.count("<svg>1 robots</svg>") == 4
    assert html.index('--c:var(--c0)">robot') < html.index('--c:var(--c1)">egodex')


def test_stand_ins_say_how_they_were_made(tmp_path):
    store = EgoDexStore(tmp_path / "set", {"strategy": "egohand", "seed": 4})
    store.commit([{"id": 0, "frames": 3, "hdf5": "", "mp4": ""}])
    write_egodex(tmp_path / "set", frames=3)
    found = facts(open_set(tmp_path / "set"))
    assert (found["strategy"], found["seed"], found["layout"]) == ("egohand", "4", "egodex")
    (tmp_path / "set" / "dataset.json").write_text("{")
    assert facts(open_set(tmp_path / "set"))["strategy"] == "unknown, dataset.json is damaged"
