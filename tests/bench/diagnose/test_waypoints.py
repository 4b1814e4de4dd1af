"""What is measured of a plan and what came of it."""

from typing import Any

import numpy as np
import pytest
import torch

from dexbench.agents.planning.belief import Belief
from dexbench.agents.planning.optimiser import Plan
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.bench.diagnose.waypoints import COLUMNS, measure
from dexbench.envs.embodiment import camera

GOAL = torch.from_numpy(np.random.default_rng(0).uniform(0.4, 0.6, (21, 3))).float()
IN_CAMERA = camera.base_to_camera(GOAL)


class Told(WaypointAgent):
    """Expects the hand 3 cm right of the goal and latents of 2; reads pictures by their level."""

    def cost(self, sequences: torch.Tensor, context: Any) -> torch.Tensor:
        return sequences.sum((1, 2)) * 0 + 7

    def predict(self, sequences: torch.Tensor, context: Any) -> Belief:
        shift = torch.tensor([0.03, 0.0, 0.0])
        return Belief((IN_CAMERA[:17] + shift).expand(1, 3, 17, 3), torch.full((1, 3, 4, 2), 2.0))

    def see(self, picture: np.ndarray) -> Belief:
        level = float(picture.mean())
        shift = torch.tensor([0.0, level / 100, 0.0])
        return Belief(IN_CAMERA[:17] + shift, torch.full((4, 2), level))


def look(level: int, shift: float) -> dict[str, np.ndarray]:
    points = IN_CAMERA.numpy() + np.array([shift, 0, 0], np.float32)
    return {
        "pixels": np.full((2, 2, 3), level, np.uint8),
        "goal": np.full((2, 2, 3), 5, np.uint8),
        "keypoints": points,
    }


def plan() -> Plan:
    zeros = torch.zeros(3, 23)
    return Plan(zeros, zeros, zeros, 6.5, (9.0, 8.0))


def test_every_column_measures_what_it_says() -> None:
    row = measure(Told(), plan(), None, look(1, 0.10), look(3, 0.01), GOAL)
    assert list(row) == list(COLUMNS)
    expected = {
        "goal_cm": 5,
        "seen_cm": np.hypot(1, 3),
        "planned_cm": np.hypot(3, 5),
        "predicted_cm": 2,
        "still_cm": 9,
        "left_cm": 1,
        "latent": 1,
        "still_latent": 4,
        "left_latent": 4,
        "cost": 7,
        "best_cost": 6.5,
    }
    assert {key: row[key] for key in expected} == pytest.approx(expected, rel=1e-3)
    assert row["elite_costs"] == "9 8" and row["control_cm"] > 5
    depth = IN_CAMERA[:17, 2]
    pixels = float((camera.FOCAL * 0.02 / depth).mean())
    assert row["predicted_px"] == pytest.approx(pixels, rel=1e-3)


def test_an_agent_that_sees_nothing_leaves_columns_empty() -> None:
    class Blind(Told):
        predict = WaypointAgent.predict

        def see(self, picture: np.ndarray) -> None:
            return None

    row = measure(Blind(), plan(), None, look(1, 0.1), look(3, 0.0), GOAL)
    empty = {"goal_cm", "goal_px", "seen_cm", "seen_px", "latent", "still_latent", "left_latent"}
    assert {key for key, value in row.items() if value is None} == empty
    assert row["control_cm"] == row["predicted_cm"]


def test_pixels_are_compared_over_the_keypoints_that_are_known() -> None:
    class Flat(Told):
        def predict(self, sequences: torch.Tensor, context: Any) -> Belief:
            pixels = camera.project(IN_CAMERA[:17]) + 5
            pixels[3:] = torch.nan
            return Belief(None, None, pixels.expand(1, 3, 17, 2))

    row = measure(Flat(), plan(), None, look(1, 0.1), look(3, 0.0), GOAL)
    assert row["predicted_px"] == pytest.approx(np.hypot(5, 5), rel=1e-3)
    assert row["predicted_cm"] is None and row["planned_cm"] is None
