import base64
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.small_set import episode, fill

from dexbench.data_collection.coverage import measures, page, plots
from dexbench.data_collection.coverage.page import CoverageConfig, main
from dexbench.data_collection.readers.clip import ClipFacts
from dexbench.data_collection.readers.index import Index
from dexbench.data_collection.sets.opened import open_set
from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.camera import HEAD_POS, base_to_camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import OPEN_HAND, READY_ARM
from dexbench.utils.errors import UserError
from dexbench.utils.video import read_video

VOID = {"meta", "img"}


class Nesting(HTMLParser):
    """Fails where a tag is closed that is not the one that is open."""

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def clip(**changed):
    """A clip of 21 frames in which the hand rests above the counter and touches nothing."""
    frames = 21
    plain = {
        "kind": "wander",
        "scene": 0,
        "layout": "galley",
        "style": "steel_loft",
        "categories": ("mug", "can"),
        "joints": np.zeros((frames, 23)),
        "error": np.zeros((frames - 1, 23)),
        "points": np.full((frames, 5, 3), [0.6, 0.0, 1.0]),
        "in_view": np.ones(frames, bool),
        "contact": np.zeros(frames, bool),
        "near": np.zeros(frames, bool),
        "lifted": False,
        "moved": False,
    }
    return measures.Clip(**plain | changed)


def coverage(*clips):
    return measures.Coverage(clips)


def during(first, end):
    return (np.arange(21) >= first) & (np.arange(21) < end)


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coverage")
    return fill(folder / "one"), fill(folder / "<b>$two", 4, seed=1)


@pytest.fixture(scope="module")
def html(two_sets):
    return page.render([open_set(root) for root in two_sets], 2000)


def test_a_stored_clip_is_measured_in_the_base_frame(tmp_path):
    joints = np.stack([np.concatenate([READY_ARM, OPEN_HAND])] * 3)
    joints[1, 7:] += 0.3
    hand = HandKinematics(dtype=torch.float64).keypoints(torch.tensor(joints)).numpy()
    wrist = hand[:, :1]
    # Behind the lens, on the ray that would show it where the thumb's tip was.
    hand[2, 4] = 2 * np.array(HEAD_POS) - hand[0, 4]
    far, beside = wrist + [0, 0, 9], wrist + [[[0.19, 0, 0]], [[0.21, 0, 0]], [[0.1, 0, 0]]]
    written = dataclasses.replace(
        episode(frames=3),
        agent_pos=joints,
        action=joints + np.array([[0.1], [0.2], [0.3]]),
        keypoints=base_to_camera(hand),
        object_pos=np.concatenate([far, beside], axis=1),
        contact=np.array([False, True, True]),
    )
    store = EpisodeStore(tmp_path / "set", {"strategy": "programmatic", "seed": 0})
    store.commit([store.write(0, written) | {"scene": 0}])
    (found,) = measures.measure(store, open_set(store.root).clips, "set").clips
    # Wrist, thumb, index, middle and ring.
    assert np.allclose(found.points, hand[:, [0, 4, 8, 12, 16]], atol=1e-6)
    assert found.in_view.tolist() == [True, True, False]
    # What is commanded from a frame on is compared with the frame after it.
    assert np.allclose(found.error, written.action[:2] - joints[1:])
    assert found.near.tolist() == [True, False, True], "any object, within 20 cm"
    assert found.contact.tolist() == [False, True, True]
    assert (found.categories, found.layout, found.lifted) == (("can",), None, False)
    assert found.moved, "the third object is 11 cm from where it began"


def test_rates_are_by_kind_and_ask_for_contact_and_nearness_at_once():
    clips = [
        clip(),
        clip(contact=during(0, 21)),
        clip(contact=during(0, 8), near=during(8, 21)),
        clip(contact=during(0, 15), near=during(6, 21)),
        clip(contact=during(0, 15), near=during(5, 21), lifted=True, moved=True),
        clip(kind="replay", contact=during(0, 7)),
    ]
    replay, wander = measures.rates(coverage(*clips))
    assert (replay.kind, replay.clips, replay.contact, replay.touched) == ("replay", 1, 7 / 21, 1)
    assert wander == measures.Rates(
        "wander", 5, (21 + 8 + 15 + 15) / 105, touched=0.8, loose=0.4, held=0.2, lifted=0.2,
        moved=0.2,
    )  # fmt: skip
    assert measures.summary(coverage(*clips))["clips that move an object by 3 cm"] == "16.7%"


@pytest.mark.parametrize(
    ("mask", "length"), [("", 0), ("0", 0), ("1", 1), ("1101110", 3), ("0111", 3), ("1110", 3)]
)
def test_longest_run(mask, length):
    assert measures.longest(np.array([c == "1" for c in mask], bool)) == length


def test_speeds_cells_and_the_counter():
    points = np.full((21, 5, 3), [0.51, 0.0, 1.01])
    points[:, 0, 1] = 0.001 + 0.02 * np.arange(21)  # 0.2 m/s, through 9 cells of 5 cm
    points[3, 2] = [0.5, 0.0, 0.80]  # in the counter
    points[4, 2] = [0.4, 0.0, 0.80]  # before it
    joints = np.zeros((21, 23))
    joints[:, 3], joints[:, 20] = -0.05 * np.arange(21), 0.1 * np.arange(21)
    found = measures.summary(coverage(clip(points=points, joints=joints, in_view=during(0, 7))))
    assert found["median speed, wrist [m/s]"] == "0.20"
    assert found["median speed, fastest arm joint [rad/s]"] == "0.50"
    assert found["median speed, fastest finger joint [rad/s]"] == "1.00"
    assert found["5 cm cells visited by the wrist"] == "9"
    assert found["5 cm cells visited by fingertips"] == "3"
    assert found["frames with wrist or a fingertip inside the counter"] == "4.8%"
    assert found["frames with wrist and fingertips in view"] == "33.3%"
    # Nothing moves between the end of a clip and the beginning of the next.
    twice = measures.speeds(coverage(clip(points=points), clip(points=points)))
    assert len(twice["wrist [m/s]"]) == 40
    assert twice["wrist [m/s]"].max() == pytest.approx(0.2)


def test_scenes_are_counted_once():
    one = coverage(clip(), clip(), clip(scene=1, layout=None, categories=("mug", "mug")))
    assert one.scenes(lambda clip: clip.categories) == {"mug": 2, "can": 1}
    assert one.scenes(lambda clip: [clip.layout]) == {"galley": 1}


def test_clips_are_spread_over_the_kinds():
    clips = tuple(
        ClipFacts(str(i), 9, 10.0, (2, 2), (0.0, 1.0), 1.0, False, text="ab"[i % 2])
        for i in range(100)
    )
    index = Index(Path("set"), "dexbench", clips, ())
    chosen = measures.spread(index, 10)
    assert [facts.text for facts in chosen] == ["a"] * 5 + ["b"] * 5
    assert (chosen[0].name, chosen[-1].name) == ("0", "99")
    assert len(measures.spread(dataclasses.replace(index, clips=clips[:3]), 10)) == 3


def test_the_page_is_one_file_that_asks_for_nothing_else(html):
    parser = Nesting()
    parser.feed(html)
    assert html.startswith("<!doctype html>") and html.endswith("</html>\n") and not parser.open
    assert len([link for link in parser.links if link.startswith("data:video/mp4")]) == 2
    assert all(link.startswith(("data:", "#")) for link in parser.links)
    assert not re.search(r"url\((?!#)|@import", html)
    assert "#f0f" not in html, "a marker colour that no colour of the page replaced"


def test_names_of_sets_are_text(html):
    assert "&lt;b&gt;$two" in html and "<b>$two" not in html


def test_clips_are_embedded_whole(html, tmp_path):
    video, _ = re.findall(r'data:video/mp4;base64,([^"]*)"', html)
    (tmp_path / "a.mp4").write_bytes(base64.b64decode(video))
    frames = read_video(tmp_path / "a.mp4")
    assert frames.shape[::3] == (3, 3) and frames.shape[2] == 4 * 196
    picture, _ = re.findall(r'data:image/jpeg;base64,([^"]*)"', html)
    assert Image.open(io.BytesIO(base64.b64decode(picture))).width == 6 * 196


def test_the_same_sets_give_the_same_file(html, two_sets, tmp_path, capsys):
    out = tmp_path / "new" / "page.html"
    main(CoverageConfig(two_sets, out))
    assert out.read_text() == html and "were measured" not in html
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    assert f"wrote {out}" in capsys.readouterr().out


def test_the_page_says_what_was_sampled(two_sets, monkeypatch):
    for plot in ("joints", "errors", "speed_histograms", "kitchens"):
        monkeypatch.setattr(plots, plot, lambda sets: "<svg></svg>")
    text = page.render([open_set(root) for root in two_sets], 8)
    assert "<b>one</b> 8 of 12 clips were measured" in text
    assert text.count("were measured") == 1, "the other set was read whole"


def test_joints_are_drawn_within_their_limits():
    still = coverage(clip())
    one, two = (plots.joints([still, coverage(clip(joints=np.full((21, 23), x)))]) for x in (0, 1))
    assert one != two
    assert all(f">{name}<" in one for name in ("arm 1", "arm 7", "index 1", "thumb 4"))
    assert one.count("var(--c0)") == one.count("var(--c1)") >= 2 * 23
    assert "[rad]" in one


def test_bars_name_all_that_training_may_show():
    bars = plots.kitchens([coverage(clip(layout="elsewhere", categories=("mug", "$x")))])
    assert all(f">{name}<" in bars for name in ("galley", "elsewhere", "mug", "can", "$x"))
    assert ">straight shelves<" not in bars, "only suites have it"


def test_the_workspace_is_drawn_where_the_hand_was():
    points = np.full((21, 5, 3), [0.6, 0.0, 1.0])
    points[:, 0] = [0.71, 0.21, 1.11]
    (svg,) = plots.workspaces([coverage(clip(points=points))])
    pictures = re.findall(r'data:image/png;base64,\s*([^"]*)"', svg)
    assert len(pictures) == 4
    for data in pictures:
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert (image[..., 3] > 0).sum() == 1, "one place, one cell"


def test_sets_of_one_name_are_told_apart(tmp_path):
    assert page.label([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    same = [tmp_path / "x" / "a", tmp_path / "y" / "a"]
    assert page.label(same) == [str(path) for path in same]
    with pytest.raises(UserError, match="named twice"):
        page.label([tmp_path / "a", tmp_path / "b" / ".." / "a"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out": "x.txt"}, "must end in .html"),
        ({"clips": 0}, "at least 1"),
        ({"sets": ()}, "one to 6 sets"),
        ({"sets": "ab"}, "does not exist"),
    ],
)
def test_bad_input(two_sets, tmp_path, change, said):
    change = {key: tmp_path / value if key == "out" else value for key, value in change.items()}
    if change.get("sets"):
        change["sets"] = (tmp_path / "none",)
    config = dataclasses.replace(CoverageConfig(two_sets, tmp_path / "x.html"), **change)
    with pytest.raises(UserError, match=said):
        main(config)
    assert list(tmp_path.iterdir()) == []


def test_damaged_and_empty_sets_are_named(tmp_path):
    EpisodeStore(tmp_path / "empty", {"strategy": "programmatic", "seed": 0})
    with pytest.raises(UserError, match="holds no whole clip"):
        main(CoverageConfig((tmp_path / "empty",), tmp_path / "x.html"))
    for kind, name in (("episodes", "000003.h5"), ("videos", "000000.mp4")):
        root = fill(tmp_path / kind, 4)
        (root / kind / name).write_bytes(b"")
        with pytest.raises(UserError, match=f"{name} is missing or damaged.*data verify"):
            main(CoverageConfig((root,), tmp_path / "x.html"))
    assert not (tmp_path / "x.html").exists()
