"""A LeRobotDataset v3, written without lerobot: parquet tables, JSON, and the videos as they are.

Version 3 lets many episodes share a file and says where each is; here every video file holds one
episode, so that videos are copied (or hard links), not encoded again.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from dexbench.data_collection.store.store import EpisodeStore
from dexbench.envs.embodiment.robot import MUJOCO_JOINTS
from dexbench.utils.errors import UserError
from dexbench.utils.progress import track
from dexbench.utils.video import read_video

CAMERA = "observation.images.head"
CHUNK = 1000
"""Files in a folder."""
PICTURES, CLIPS = 100, 20
"""Frames, and clips that they are of, from which the pictures' statistics are estimated."""
STATISTICS = ("min", "max", "mean", "std")
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
"""Quantiles in lerobot's statistics, which some of its policies normalise with."""


def write(store: EpisodeStore, out: Path) -> None:
    """Write a set into the new folder ``out``.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError(
            "--format lerobot needs pyarrow; `pip install 'dexbench[export]'` brings it"
        ) from None
    import pandas as pd

    rows = list(store.rows())
    fps = store.info["control_hz"]
    tasks = sorted({row["kind"] for row in rows})
    columns: dict[str, list[NDArray[Any]]] = {}
    episodes = []
    first = 0
    for number, row in enumerate(track(rows, "exporting", unit="episode")):
        count = row["frames"]
        with h5py.File(store.file(row, "h5")) as file:
            values = {
                "observation.state": file["agent_pos"][()],
                "observation.keypoints": file["keypoints"][()].reshape(count, -1),
                # As a number, since policies normalise whatever is observed.
                "observation.contact": file["contact"][()].astype(np.float32),
                "action": file["action"][()],
            }
        values |= {
            "timestamp": (np.arange(count) / fps).astype(np.float32),
            "frame_index": np.arange(count),
            "episode_index": np.full(count, number),
            "index": first + np.arange(count),
            "task_index": np.full(count, tasks.index(row["kind"])),
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
        chunk, place = divmod(number, CHUNK)
        video = out / "videos" / CAMERA / f"chunk-{chunk:03d}" / f"file-{place:03d}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(store.file(row, "mp4"), video)
        except OSError:
            shutil.copyfile(store.file(row, "mp4"), video)
        episodes.append(
            {
                "episode_index": number,
                "tasks": [row["kind"]],
                "length": count,
                "data/chunk_index": 0,
                "data/file_index": 0,
                "dataset_from_index": first,
                "dataset_to_index": first + count,
                f"videos/{CAMERA}/chunk_index": chunk,
                f"videos/{CAMERA}/file_index": place,
                f"videos/{CAMERA}/from_timestamp": 0.0,
                f"videos/{CAMERA}/to_timestamp": count / fps,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
            }
        )
        first += count
    arrays = {name: np.concatenate(chunks) for name, chunks in columns.items()}

    def column(value: NDArray[Any]) -> Any:
        if value.ndim == 1:
            return pa.array(value)
        return pa.FixedSizeListArray.from_arrays(pa.array(value.reshape(-1)), value.shape[1])

    file_name = "chunk-000/file-000.parquet"
    for folder in ("data/chunk-000", "meta/episodes/chunk-000"):
        (out / folder).mkdir(parents=True)
    table = pa.table({name: column(value) for name, value in arrays.items()})
    pq.write_table(table, out / "data" / file_name)
    pq.write_table(pa.Table.from_pylist(episodes), out / "meta" / "episodes" / file_name)
    index = pd.Index(tasks, name="task")
    pd.DataFrame({"task_index": range(len(tasks))}, index).to_parquet(out / "meta/tasks.parquet")
    statistics = {name: _statistics(value) for name, value in arrays.items()}
    statistics[CAMERA] = _picture_statistics(store, rows)
    (out / "meta" / "stats.json").write_text(json.dumps(statistics, indent=1), encoding="utf-8")
    info = {
        "codebase_version": "v3.0",
        "robot_type": "FrankaTMRAllegro",
        "total_episodes": len(rows),
        "total_frames": first,
        "total_tasks": len(tasks),
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": _features(arrays, store.info["image_size"], fps),
    }
    (out / "meta" / "info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")


def _features(columns: dict[str, NDArray[Any]], size: list[int], fps: int) -> dict[str, Any]:
    """Return what lerobot wants to know of each column."""
    features: dict[str, Any] = {}
    for name, value in columns.items():
        joints = list(MUJOCO_JOINTS) if value.shape[1:] == (len(MUJOCO_JOINTS),) else None
        features[name] = {
            "dtype": str(value.dtype),
            "shape": list(value.shape[1:]) or [1],
            "names": joints,
        }
    features[CAMERA] = {
        "dtype": "video",
        "shape": [*size, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": size[0],
            "video.width": size[1],
            "video.channels": 3,
            "video.fps": fps,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "has_audio": False,
        },
    }
    return features


def _statistics(values: NDArray[Any]) -> dict[str, list[Any]]:
    """Smallest, largest, mean, standard deviation and quantiles of a column's (n, ...) numbers."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    statistics: dict[str, list[Any]] = {
        name: getattr(flat, name)(axis=0).tolist() for name in STATISTICS
    }
    quantiles = np.quantile(flat, list(QUANTILES.values()), axis=0).tolist()
    return statistics | dict(zip(QUANTILES, quantiles, strict=True)) | {"count": [len(values)]}


def _picture_statistics(store: EpisodeStore, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the same of the colours, in 0 to 1, shaped (3, 1, 1)."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, CLIPS).round().astype(int))
    per = -(-PICTURES // len(chosen))
    frames = []
    for i in chosen:
        video = read_video(store.file(rows[i], "mp4"))
        frames += [video[t] for t in np.linspace(0, len(video) - 1, per).round().astype(int)]
    statistics = _statistics(np.concatenate([f.reshape(-1, 3) for f in frames]) / 255)
    names = (*STATISTICS, *QUANTILES)
    shaped = {name: np.reshape(statistics[name], (3, 1, 1)).tolist() for name in names}
    return shaped | {"count": [len(frames)]}
