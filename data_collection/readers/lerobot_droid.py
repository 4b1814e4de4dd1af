"""Reads DROID as LeRobot publishes it (`lerobot/droid_1.0.1`, LeRobotDataset v3).

    meta/info.json                                  rate, columns, path templates
    meta/episodes/chunk-000/file-000.parquet        where each episode's rows and frames are
    data/chunk-000/file-000.parquet                 rows of many episodes
    videos/<camera>/chunk-000/file-000.mp4          frames of many episodes, 320x180

The gripper stands for a right hand; the left one is absent.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dexbench.utils.errors import UserError

from .clip import Clip
from .errors import ClipError, finite, reading
from .gripper import gripper_hands, poses_of
from .pictures import Mp4
from .sample import Poses

CAMERA = "exterior_1_left"
"""The camera whose pictures are read, one of the two outside."""
VIDEO = f"observation.images.{CAMERA}"
COLUMNS = {
    "observation.state.cartesian_position": 6,
    "observation.state.gripper_position": 1,
    f"camera_extrinsics.{CAMERA}": 6,
}
"""The columns that are read, and how many numbers a row of each has."""


class LeRobotDroid:
    """The layout of LeRobot's DROID.

    Args:
        root: The folder that holds `meta`.

    Raises:
        UserError: `meta` is damaged, of another version, or of another robot; or pyarrow is not
            installed.
    """

    name = "lerobot-droid"

    def __init__(self, root: Path):
        self.root = root
        path = root / "meta" / "info.json"
        try:
            self.info: dict[str, Any] = json.loads(path.read_bytes())
            version, features = str(self.info["codebase_version"]), set(self.info["features"])
            self.rate = float(self.info["fps"])
            self.places = {key: str(self.info[key]) for key in ("data_path", "video_path")}
            """Templates of the files' paths."""
            for template in self.places.values():
                template.format(video_key=VIDEO, chunk_index=0, file_index=0)
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise UserError(f"{path} is damaged ({error}); download it again") from error
        if not version.startswith("v3."):
            raise UserError(
                f"{path} is of LeRobotDataset {version}, expected v3; convert it with lerobot's "
                "convert_dataset_v21_to_v30"
            )
        if missing := sorted({*COLUMNS, VIDEO} - features):
            raise UserError(
                f"{path} has no {missing[0]}, so this is not DROID; expected lerobot/droid_1.0.1"
            )

    @staticmethod
    def recognises(root: Path) -> bool:
        """Return whether a path holds this layout."""
        return (root / "meta" / "info.json").is_file()

    @cached_property
    def _episodes(self) -> dict[str, dict[str, Any]]:
        """Rows of `meta/episodes` by the clip's name."""
        pandas = _pandas()
        found: dict[str, dict[str, Any]] = {}
        prefixes = ("stats/",)
        for path in sorted((self.root / "meta" / "episodes").rglob("*.parquet")):
            with reading(path):
                table = pandas.read_parquet(path)
                kept = [name for name in table if not str(name).startswith(prefixes)]
                for row in table[kept].to_dict("records"):
                    found[f"episode_{int(row['episode_index']):06d}"] = row
        return found

    def names(self) -> list[str]:
        """Return the names of all clips, sorted."""
        return sorted(self._episodes)

    def clip(self, name: str) -> Clip:
        """Return a clip by its name."""
        return LeRobotDroidClip(name, self, self._episodes[name])


class LeRobotDroidClip(Clip):
    """An episode of LeRobot's DROID; the world frame is the robot's base.

    Args:
        name: Its name.
        layout: The data that it is of.
        row: What `meta/episodes` says of it.
    """

    def __init__(self, name: str, layout: LeRobotDroid, row: dict[str, Any]):
        self._layout, self._row = layout, row
        super().__init__(name, self._file("data_path", "data"))

    def _file(self, template: str, kind: str) -> Path:
        """Return the file of the template, at the place that the row has under a prefix."""
        place = {name: int(self._place(f"{kind}/{name}")) for name in ("chunk_index", "file_index")}
        path = self._layout.places[template].format(video_key=VIDEO, **place)
        return self._layout.root / path

    def _place(self, key: str) -> float:
        """Return a number of the row.

        Raises:
            ClipError: It is missing or none.
        """
        try:
            value = float(self._row[key])
        except (LookupError, TypeError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            path = self._layout.root / "meta" / "episodes"
            number = self._row["episode_index"]
            raise ClipError(
                path, f"has {key} {self._row.get(key)!r} for episode {number}, expected a number"
            )
        return value

    def pictures(self) -> Mp4:
        """Return the pictures."""
        kind = f"videos/{VIDEO}"
        first = round(self._place(f"{kind}/from_timestamp") * self._layout.rate)
        return Mp4(self._file("video_path", kind), first, int(self._place("length")))

    def poses(self) -> Poses:
        """Return the poses; see `Clip.poses`.

        The hand is a stand-in for the gripper, so that no keypoint of it is seen. The camera matrix
        was not published.
        """
        number = int(self._row["episode_index"])
        with reading(self.path):
            table = _pandas().read_parquet(
                self.path,
                columns=[*COLUMNS, "frame_index"],
                filters=[("episode_index", "==", number)],
            )
            table = table.sort_values("frame_index")
            if list(table["frame_index"]) != list(range(len(table))):
                raise ClipError(
                    self.path, f"has frames of episode {number} twice, or leaves out some"
                )
        effector, gripper, camera = (self._column(table, name) for name in COLUMNS)
        hands = gripper_hands(poses_of(effector), gripper[:, 0])
        return Poses(
            hands=hands,
            seen=np.zeros(hands.shape[:3], bool),
            camera=poses_of(camera),
            intrinsics=None,
            rate=self._layout.rate,
        )

    def text(self) -> str:
        """Return the task in words."""
        return "; ".join(map(str, self._row.get("tasks", ())))

    def _column(self, table: Any, name: str) -> NDArray[np.float64]:
        """Return a column (n, k)."""
        width = COLUMNS[name]
        with reading(self.path):
            rows = [np.atleast_1d(np.asarray(row, np.float64)) for row in table[name]]
        wrong = next((row.shape for row in rows if row.shape != (width,)), None)
        if wrong is not None:
            raise ClipError(self.path, f"has {name} of shape {wrong} in a row, expected ({width},)")
        return finite(self.path, name, np.array(rows).reshape(-1, width))


def _pandas() -> Any:
    """Return pandas, which reads parquet with pyarrow.

    Raises:
        UserError: pyarrow is not installed.
    """
    import pandas

    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError(
            "LeRobot's files need pyarrow; `pip install 'dexbench[export]'` brings it"
        ) from None
    return pandas
