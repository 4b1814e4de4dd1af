import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.planners import START, ToGoal, goal_near, observation, play
from support.stand_ins import watched_problem
from support.synthetic_store import KINEMATICS, keypoints_of

import dexbench
from dexbench.agents.planning.cem import CEMConfig, cem, in_tiles, noise
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP, grasp_motion
from dexbench.agents.planning.optimiser import Plan, Problem
from dexbench.agents.planning.planner_config import OPTIMISERS, PLANNERS, PlannerConfig
from dexbench.agents.planning.waypoint_agent import WaypointAgent
from dexbench.agents.reference.kinematic import Kinematic
from dexbench.agents.reference.prior import Prior
from dexbench.agents.reference.random import Random
from dexbench.envs.embodiment.robot import LOWER, UPPER
from dexbench.envs.motion.waypoints import RampConfig, follow, ramp
from dexbench.envs.simulation import Simulation
from dexbench.envs.suite import Suite


def test_cem_finds_the_minimum_of_a_quadratic():
    goal = torch.linspace(-1, 1, 6).reshape(2, 3)
    problem = Problem(
        lambda x: (x - goal).square().sum((1, 2)),
        torch.zeros(2, 3),
        torch.ones(2, 3),
        -2 * torch.ones(3),
        2 * torch.ones(3),
        seed=1,
    )
    result = cem(problem, CEMConfig(128, 10, 15))
    assert (result.mean - goal).abs().max() < 0.05
    assert result.elite_costs[-1] < result.elite_costs[0] / 50


def test_cem_refits_to_elites_with_population_std():
    problem, seen = watched_problem()
    result = cem(problem, CEMConfig(20, 4, 1))
    elites = seen[0].flatten().sort().values[:4]
    assert torch.equal(seen[0].flatten(), noise((20, 1, 1), 3, 0, 0).flatten())
    assert torch.allclose(result.mean.flatten(), elites.mean())
    assert torch.allclose(result.std.flatten(), (elites - elites.mean()).square().mean().sqrt())
    assert torch.equal(result.best.flatten(), elites[:1])


def test_cem_clips_to_limits_and_survives_nan_costs():
    seen = []

    def cost(x):
        seen.append(x)
        return torch.where(torch.arange(len(x)) % 2 == 0, torch.nan, x.sum((1, 2)))

    mean, std = torch.zeros(1, 2), torch.ones(1, 2) * 5
    result = cem(Problem(cost, mean, std, -torch.ones(2), torch.ones(2), 0), CEMConfig())
    assert max(x.abs().max() for x in seen) == 1
    assert result.mean.isfinite().all()


def test_noise_depends_on_every_key():
    base = noise((4, 3), 1, 0, 0)
    assert torch.equal(base, noise((4, 3), 1, 0, 0))
    assert not any(torch.equal(base, noise((4, 3), *k)) for k in [(2, 0, 0), (1, 1, 0), (1, 0, 1)])


def test_in_tiles_evaluates_whole_tiles_only():
    shapes = []

    def function(x):
        shapes.append(len(x))
        return x.sum(-1)

    x = torch.arange(21.0).reshape(7, 3)
    assert torch.equal(in_tiles(function, x, 4), x.sum(-1)) and shapes == [4, 4]


@pytest.mark.parametrize("bad", [{"elites": 0}, {"elites": 99}, {"iterations": 0}])
def test_cem_config_refuses_nonsense(bad):
    with pytest.raises(ValueError, match="elites"):
        CEMConfig(**bad)


def test_ramp_bounds_speed_moves_arm_before_hand_and_holds():
    waypoint = START + np.r_[np.full(7, 0.6), np.full(16, 0.4)].astype(np.float32)
    rows = np.vstack([START, ramp(START, waypoint)])
    config, change = RampConfig(), np.abs(np.diff(rows, axis=0)) * 10
    assert change[:, :7].max() <= config.arm_speed + 1e-4
    assert change[:, 7:].max() <= config.hand_speed + 1e-4
    assert np.abs(change[: config.hand_start, 7:]).max() == 0
    assert change[config.arm_end :, :7].max() < 1e-5  # the arm holds
    np.testing.assert_allclose(rows[-1], waypoint, atol=1e-6)


def test_ramp_too_far_for_its_speed_stops_short():
    rows = ramp(START, START + 10)
    assert np.abs(np.diff(rows, axis=0)).max() * 10 <= 3.0 + 1e-4
    assert (rows[-1, :7] < START[:7] + 3.1).all()


def test_fk_cem_reaches_reachable_goals():
    config = PLANNERS["warm"]
    for seed in range(4):
        goal = goal_near(seed)
        agent = ToGoal(goal, cem=CEMConfig(128, 10, 12), step_weights=config.step_weights)
        final = play(agent, seed=seed)[-1]
        error = np.linalg.norm(keypoints_of(final) - keypoints_of(goal), axis=-1).mean()
        assert error < 0.02


def test_planner_is_invariant_to_the_tile_size():
    goal = goal_near(7)
    plans = [play(ToGoal(goal, tile=tile)) for tile in (64, 24)]
    np.testing.assert_allclose(*plans, atol=1e-4)


def test_same_seed_same_plan_whatever_was_played_before():
    agent = ToGoal(goal_near(1))
    first = play(agent, seed=5)
    other = play(agent, seed=6)
    assert np.array_equal(play(agent, seed=5), first) and not np.array_equal(first, other)


def test_prior_holds_or_plays_the_dummy_grasp():
    assert np.array_equal(play(Prior(), "reach"), np.tile(START, (60, 1)))
    rows = play(Prior(), "grasp", start=DUMMY_GRASP[0].astype(np.float32))
    reached = np.abs(rows[[19, 39, 59]] - DUMMY_GRASP).max()
    assert reached < 1e-5


@pytest.mark.parametrize("horizon", range(1, 7))
def test_a_first_grasp_opens_before_it_closes_whatever_the_horizon(horizon):
    agent = Prior()
    agent.reset("grasp", 0)
    opened, closed = DUMMY_GRASP[0], DUMMY_GRASP[-1]
    mean = agent.initial(observation(), horizon)[0].double().numpy()
    assert mean.shape == (horizon, 23)
    np.testing.assert_allclose(mean[-1], closed, atol=1e-6)
    if horizon > 1:
        np.testing.assert_allclose(mean[0], opened, atol=1e-6)
    # The fingers close over the motion's first half, evenly.
    times = np.linspace(0, 2, horizon) if horizon > 1 else np.array([2.0])
    share = np.minimum(times, 1)[:, None]
    np.testing.assert_allclose(mean, opened + share * (closed - opened), atol=1e-6)
    if horizon == 3:
        assert np.array_equal(grasp_motion(horizon), DUMMY_GRASP)


def test_later_grasps_go_on_from_the_plan_before_or_hold_the_end():
    agent = Prior(horizon=2)
    agent.reset("grasp", 0)
    agent.act(observation(steps_left=60))
    mean, _ = agent.initial(observation(steps_left=20), 1)
    np.testing.assert_allclose(mean, DUMMY_GRASP[-1:], atol=1e-6)
    # Two waypoints are left to plan and one is left of the plan before.
    mean, _ = agent.initial(observation(steps_left=40), 2)
    np.testing.assert_allclose(mean, DUMMY_GRASP[-2:], atol=1e-6)
    whole = Prior()
    whole.reset("grasp", 0)
    whole.act(observation(steps_left=60))
    mean, _ = whole.initial(observation(steps_left=40), 2)
    assert torch.equal(mean, torch.tensor(DUMMY_GRASP[1:], dtype=torch.float32))


def test_random_is_one_draw_of_the_initial_distribution():
    agent = Random()
    rows = play(agent, "place", seed=2)
    drawn = START + noise((3, 23), 2, 0, 0)[0].numpy() * np.r_[np.full(7, 0.3), np.full(16, 0.01)]
    np.testing.assert_allclose(rows[19], np.clip(drawn, LOWER, UPPER), atol=1e-5)


@pytest.mark.parametrize(("agent", "name"), [(Random(), "random"), (Prior(), "prior")])
@pytest.mark.parametrize("task", ["reach", "grasp", "place"])
def test_plans_are_those_of_the_published_rows(agent, name, task):
    """Seeds, replanning, deviations, grip and ramp, against plays that are committed."""
    folder = Path(dexbench.__file__).parent / "results" / "v1" / name / task
    if not folder.is_dir():
        pytest.skip("results are not installed with the package")
    row = json.loads((folder / "trials.jsonl").read_text().splitlines()[0])
    trial = Suite.load("v1").trial(task, row["trial"])
    simulation = Simulation(trial.xml, trial.objects)
    simulation.set_state(trial.start_state)
    start = simulation.joint_targets.astype(np.float32)
    simulation.close()
    with np.load(folder / "actions" / f"{row['trial']:03d}.npz") as file:
        played = file["actions"]
    np.testing.assert_allclose(play(agent, task, row["seed"], start), played, atol=1e-5)


def test_every_plan_starts_from_the_first_deviation_again():
    agent = ToGoal(goal_near(2))
    agent.reset("reach", 0)
    agent.act(observation())
    assert float(agent.last_plan.std[0, 0]) < 0.2
    _, std = agent.initial(observation(), 2)
    assert float(std[0, 0]) == pytest.approx(0.3)


def test_kinematic_is_privileged_and_reaches_the_environments_goal():
    agent, goal = Kinematic(cem=CEMConfig(128, 10, 12)), goal_near(3)
    assert agent.privileged
    with pytest.raises(ValueError, match="reset before bind"):
        agent.bind(SimpleNamespace(goal=None))
    base = KINEMATICS.keypoints(torch.from_numpy(goal)).numpy()
    agent.bind(SimpleNamespace(goal=SimpleNamespace(keypoints=base)))
    error = np.linalg.norm(keypoints_of(play(agent)[-1]) - keypoints_of(goal), axis=-1).mean()
    assert error < 0.02


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="unknown planner 'huge'"):
        WaypointAgent("huge")
    with pytest.raises(ValueError, match="execute"):
        WaypointAgent(execute="worst")
    with pytest.raises(ValueError, match=r"unknown optimiser 'sgd'; known: \['cem', "):
        WaypointAgent(optimiser="sgd")


def test_what_scores_hang_on_is_what_the_protocol_says():
    ours, warm, paper = (PLANNERS[name] for name in ("cem", "warm", "paper"))
    assert (ours.optimiser, ours.cem) == ("cem", CEMConfig(64, 10, 6))
    assert ours.step_weights == (0.184, 0.306, 0.510) and ours.execute == "mean"
    assert (ours.arm_std, ours.hand_std, ours.place_hand_std) == (0.3, 0.1, 0.01)
    assert ours.warm_start is None
    assert warm == dataclasses.replace(
        ours, cem=CEMConfig(64, 10, 3), warm_start=CEMConfig(128, 10, 20), narrow=0.3
    )
    assert paper == dataclasses.replace(
        ours, cem=CEMConfig(512, 10, 10), step_weights=(0.0, 0.0, 1.0), execute="best"
    )


def test_on_the_real_robot_two_waypoints_are_played_in_open_loop():
    assert PLANNERS["paper-real"] == dataclasses.replace(
        PLANNERS["paper"], cem=CEMConfig(256, 10, 10), horizon=2, open_loop=True
    )
    agent = ToGoal(goal_near(1), planner="paper-real")
    agent.reset("reach", 0)
    chunk = agent.act(observation())
    plan = agent.last_plan
    assert chunk.shape == (60, 23) and chunk.dtype == np.float32
    assert plan.best.shape == (2, 23)
    first = ramp(START, plan.best[0].numpy())
    assert np.array_equal(chunk[:20], first)
    assert np.array_equal(chunk[20:40], ramp(first[-1], plan.best[1].numpy()))
    assert (chunk[40:] == chunk[39]).all()
    assert np.array_equal(chunk[:40], follow(START, plan.best.numpy()))
    with pytest.raises(ValueError, match="horizon"):
        WaypointAgent(horizon=4)


def test_a_warm_start_ends_where_forward_kinematics_alone_does(monkeypatch):
    begun = []
    monkeypatch.setitem(
        OPTIMISERS, "cem", lambda problem, config: begun.append(problem) or cem(problem, config)
    )
    budget, goal = CEMConfig(32, 5, 8), goal_near(1)
    cold = ToGoal(goal)
    warm = ToGoal(goal, warm_start=budget, narrow=0.5)
    for agent in (cold, warm):
        agent.reset("reach", 7)
        agent.act(observation())
    mean, std = begun[0].mean, begun[0].std
    first = Problem(
        lambda some: cold.hand_distance(some, cold.goal), mean, std, cold.lower, cold.upper, 7
    )
    assert torch.equal(begun[1].mean, cem(first, budget).mean)
    assert torch.equal(begun[1].std, std * 0.5)
    assert warm.last_plan.elite_costs[0] < cold.last_plan.elite_costs[0]
    assert WaypointAgent("warm", warm_start={"samples": 99}).config.warm_start == CEMConfig(
        99, 10, 20
    )
    for wrong in ({"warm_start": 5}, {"narrow": 0.0}):
        with pytest.raises(ValueError, match="warm_start"):
            WaypointAgent(**wrong)


def test_an_agent_that_knows_no_goal_hand_begins_as_ever(monkeypatch):
    class Still(WaypointAgent):
        def observe(self, obs):
            return None

        def cost(self, sequences, context):
            return sequences.square().sum((1, 2))

    cold, warm = Still(cem=CEMConfig(64, 10, 3), narrow=0.3), Still("warm")
    for agent in (cold, warm):
        agent.reset("reach", 0)
    assert np.array_equal(cold.act(observation()), warm.act(observation()))


def test_the_mean_or_the_best_is_played():
    plan = Plan(torch.zeros(3, 23), torch.ones(3, 23), torch.full((3, 23), 0.5), 0.0, ())
    assert WaypointAgent().chosen(plan) is plan.mean
    assert WaypointAgent("paper").chosen(plan) is plan.best


def test_settings_tell_defaults_apart():
    agent = WaypointAgent()
    assert agent.settings_hash == WaypointAgent(arm_std=0.3).settings_hash
    assert agent.settings_hash != WaypointAgent(arm_std=0.31).settings_hash


def test_a_planners_name_says_whether_a_setting_was_changed():
    assert WaypointAgent().planner_name == WaypointAgent(arm_std=0.3).planner_name == "cem"
    assert WaypointAgent(arm_std=0.31).planner_name == "cem*"
    assert WaypointAgent("paper", execute="mean").planner_name == "paper*"
    assert WaypointAgent(PLANNERS["warm"]).planner_name == "warm"
    assert WaypointAgent(PlannerConfig(tile=3)).planner_name == "own"
    assert WaypointAgent(PlannerConfig(tile=3), tile=4).planner_name == "own*"
    assert WaypointAgent().cost_name is None


@pytest.mark.parametrize("task", ["push", "pick", "carry", "avoid"])
def test_other_tasks_begin_at_the_last_target_and_carry_keeps_its_grip(task):
    agent = Prior()
    agent.reset(task, 0)
    mean, std = agent.initial(observation(), 3)
    assert torch.equal(mean, torch.tensor(START).expand(3, 23)), "no motion is given away"
    config = agent.config
    assert torch.all(std[:, :7] == config.arm_std)
    held = config.place_hand_std if task == "carry" else config.hand_std
    assert torch.all(std[:, 7:] == held)
