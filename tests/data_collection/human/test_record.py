import h5py
import numpy as np

from dexbench.data_collection.human import record, tasks
from dexbench.data_collection.human.record import HELD_OUT, record_session
from dexbench.data_collection.human.skeleton import JOINTS
from dexbench.data_collection.human.tasks import TASKS
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.data_collection.readers.sample import project
from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.store.egodex import EgoDexStore
from dexbench.utils.video import read_video

SIZE = (32, 56)


def test_a_session_is_a_function_of_seed_and_number_in_egodexs_layout(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "MANY", 0.5)
    rows = {}
    for name in ("first", "again"):
        EgoDexStore(tmp_path / name, {"strategy": "egohand", "seed": 3, "image_size": [*SIZE]})
        rows[name] = record_session(SessionOrder(tmp_path / name, 3, HELD_OUT // 2, SIZE, 2))
    assert rows["first"] == rows["again"]
    for row in rows["first"]:
        file = tmp_path / "first" / "test" / row["task"] / f"{row['id']}.hdf5"
        frames = read_video(file.with_suffix(".mp4"))
        assert frames.shape == (row["frames"], *SIZE, 3) and frames.std() > 10
        with h5py.File(file) as clip:
            assert set(clip["transforms"]) == {*JOINTS, "camera"}
            assert set(clip["confidences"]) == {*JOINTS}
            shapes = {poses.shape for poses in clip["transforms"].values()}
            assert shapes == {(row["frames"], 4, 4)}
            matrix = clip["camera/intrinsic"][:]
            np.testing.assert_allclose(matrix[:2, 2], [28, 16])
            assert clip.attrs["task"] == row["task"] and row["task"] in TASKS
    layout = open_layout(tmp_path / "first")
    assert (layout.name, len(layout.names())) == ("egodex", len(rows["first"]))
    for name in layout.names():
        sample = layout.clip(name).sample()
        pixels, depth = project(sample.hands, sample.camera, sample.intrinsics)
        shown = pixels[sample.seen]
        assert sample.rate == 10 and sample.hands.shape[1:] == (2, 21, 3)
        assert sample.seen.mean() > 0.3 and (depth[sample.seen] > 0.1).all()
        assert ((shown >= 0) & (shown <= SIZE[::-1])).all()
    assert record.HELD_OUT > 2
