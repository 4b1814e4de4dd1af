"""Records what a simulation does, frame by frame."""

from typing import Any

import numpy as np

from dexbench.data_collection.store.episode import Episode
from dexbench.envs.scenes.scene import Scene
from dexbench.envs.simulation import Simulation

LIFT = 0.05
"""An object counts as lifted when it rises by this much in m while the hand touches it."""


class Recorder:
    """Collects frames; call `observe` at the start and after every control step.

    Args:
        simulation: The scene to watch.
    """

    def __init__(self, simulation: Simulation):
        self._sim = simulation
        self._rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        """Return the number of frames so far."""
        return len(self._rows)

    def observe(self) -> None:
        """Record the current state as the next frame."""
        simulation = self._sim
        self._rows.append(
            {
                "frames": simulation.render(),
                "agent_pos": simulation.joint_positions.astype(np.float32),
                "target": simulation.joint_targets.astype(np.float32),
                "keypoints": simulation.keypoints_camera.astype(np.float32),
                "state": simulation.get_state(),
                "object_pos": np.array(
                    [simulation.object_position(name) for name in simulation.objects]
                ),
                "contact": simulation.hand_touches(),
            }
        )

    def episode(self, scene: Scene, meta: dict[str, Any]) -> Episode:
        """Everything recorded, as an episode."""
        columns = {key: np.array([row[key] for row in self._rows]) for key in self._rows[0]}
        # A frame shows the target that led to it; the action is the one that follows.
        targets = columns.pop("target")
        columns["action"] = np.concatenate([targets[1:], targets[-1:]])
        height = columns["object_pos"][:, :, 2]
        lifted = ((height - height[0]).max(axis=1) > LIFT) & columns["contact"]
        facts = {
            "objects": list(scene.objects),
            "instances": list(scene.instances),
            "recipe": scene.recipe,
            "lifted": bool(lifted.any()),
            "touched": bool(columns["contact"].any()),
            **meta,
        }
        return Episode(**columns, xml=scene.xml, meta=facts)
