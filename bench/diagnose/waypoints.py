"""What a plan expected of its waypoints, against what came of them."""

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dexbench.bench.ledger.rows import Row
from dexbench.envs.embodiment.keypoints import N_DISTINCT

if TYPE_CHECKING:
    from torch import Tensor

    from dexbench.agents.planning.belief import Belief
    from dexbench.agents.planning.waypoint_agent import WaypointAgent

COLUMNS = {
    "goal_cm": "the agent's reading of the goal picture against the goal's true hand",
    "goal_px": "the same in the picture",
    "seen_cm": "its reading of the picture after the waypoint against the true hand",
    "seen_px": "the same in the picture",
    "planned_cm": "the hand that the plan expects at its end against the goal it believes in",
    "planned_px": "the same in the picture",
    "predicted_cm": "the hand expected after the waypoint against the true one",
    "predicted_px": "the same in the picture",
    "still_cm": "the hand before the waypoint against that after it: predicting no change",
    "control_cm": "the hand that the waypoint's joints make against the true one after it",
    "left_cm": "the true hand after the waypoint against the goal's",
    "latent": "mean square of the expected latent state less that of the picture after it",
    "still_latent": "the same for the latent state before the waypoint: predicting no change",
    "left_latent": "the same for that of the goal picture",
    "cost": "of the waypoints that were played",
    "best_cost": "of the cheapest candidate",
    "elite_costs": "mean over the elites, an iteration after the other",
}
"""What is measured for each decision: mean distances over the hand's 17 keypoints in cm or px
(over those that the agent knows), empty where the agent has no such thing, or sees no hand. An
agent that knows no depth has its own keypoints in px alone."""


def measure(
    agent: "WaypointAgent",
    plan: Any,
    context: Any,
    before: dict[str, NDArray[Any]],
    after: dict[str, NDArray[Any]],
    goal: "Tensor",
) -> Row:
    """Compare what a decision expected with what came of it.

    Args:
        agent: Whose decision it was.
        plan: What its optimiser found.
        context: What its optimiser knew.
        before: The observation that it decided on.
        after: The observation when the waypoint had been played.
        goal: True keypoints (21, 3) of the goal in the base frame, in m.

    Returns:
        `COLUMNS`; None where the agent has no such thing.
    """
    import torch

    from dexbench.agents.planning.belief import Belief
    from dexbench.agents.planning.waypoint_agent import WaypointAgent
    from dexbench.envs.embodiment import camera

    with torch.no_grad():
        waypoints = agent.chosen(plan)[None]
        cost = float(agent.cost(waypoints, context)[0])
        expected = agent.predict(waypoints, context)
        # Without its own model: where the commanded joints put the hand.
        commanded = WaypointAgent.predict(agent, waypoints, context)
    seen = agent.see(after["pixels"])
    was = agent.see(before["pixels"])
    wanted = agent.see(before["goal"])
    truth = torch.from_numpy(after["keypoints"])[:N_DISTINCT].float()
    start = torch.from_numpy(before["keypoints"])[:N_DISTINCT].float()
    true_goal = camera.base_to_camera(goal)[:N_DISTINCT]
    believed = Belief(true_goal) if wanted is None else wanted
    end, then = expected.at(0, -1), expected.at(0, agent.next_look)
    row: Row = dict.fromkeys(COLUMNS)
    row |= {
        **_apart("goal", wanted, Belief(true_goal)),
        **_apart("seen", seen, Belief(truth)),
        **_apart("planned", end, believed),
        **_apart("predicted", then, Belief(truth)),
        "still_cm": _cm(start, truth),
        "control_cm": _cm(commanded.at(0, agent.next_look).keypoints, truth),
        "left_cm": _cm(truth, true_goal),
        "cost": cost,
        "best_cost": plan.best_cost,
        "elite_costs": " ".join(f"{value:.6g}" for value in plan.elite_costs),
    }
    if then.latent is not None:
        row |= {
            "latent": _square(then.latent, seen),
            "still_latent": _square(was.latent if was else None, seen),
            "left_latent": _square(wanted.latent if wanted else None, seen),
        }
    return row


def _apart(name: str, belief: "Belief | None", other: "Belief") -> Row:
    """Return how far two hands are apart, in space and in the picture, as columns."""
    if belief is None or belief.pixels is None or other.pixels is None:
        return {}
    pixels = (belief.pixels - other.pixels).norm(dim=-1)
    return {
        f"{name}_cm": _cm(belief.keypoints, other.keypoints),
        f"{name}_px": float(pixels.nanmean()),
    }


def _cm(points: "Tensor | None", others: "Tensor | None") -> float | None:
    """Mean distance of keypoints (17, 3) in m, in cm; None if the depth of either is not known."""
    if points is None or others is None:
        return None
    return 100 * float((points - others).norm(dim=-1).mean())


def _square(latent: "Tensor | None", seen: "Belief | None") -> float | None:
    """Mean square error of a latent state."""
    if latent is None or seen is None or seen.latent is None:
        return None
    return float((latent.float() - seen.latent.float()).square().mean())
