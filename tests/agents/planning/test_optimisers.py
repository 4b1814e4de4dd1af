"""What MPPI and the gradient planner do that CEM does not; test_planning.py has what all share."""

import dataclasses

import numpy as np
import pytest
import torch
from support.planners import HIGH, LOW, ToGoal, goal_near, observation, play
from support.stand_ins import watched_problem
from support.synthetic_store import keypoints_of, picture

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.cost import ORIENTATION
from dexbench.agents.dexwm.cost_config import COSTS
from dexbench.agents.dexwm.model.keypoint_maps import Keypoints
from dexbench.agents.planning.cem import noise
from dexbench.agents.planning.dummy_grasp import DUMMY_GRASP
from dexbench.agents.planning.gradient import GradientConfig, gradient
from dexbench.agents.planning.mppi import MPPIConfig, mppi
from dexbench.agents.planning.optimiser import Problem
from dexbench.agents.planning.planner_config import OPTIMISERS, PLANNERS, PlannerConfig
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.utils.errors import UserError

ALL = sorted(OPTIMISERS)


def default(name):
    return getattr(PlannerConfig(), name)


def quadratic(goal, limit=2.0, std=1.0):
    bound = torch.full((3,), limit)
    return Problem(
        lambda x: (x - goal).square().sum((1, 2)),
        torch.zeros(2, 3),
        torch.full((2, 3), std),
        -bound,
        bound,
        seed=1,
    )


@pytest.mark.parametrize("name", ALL)
def test_every_optimiser_finds_the_minimum_within_the_limits(name):
    goal = torch.linspace(-1, 1, 6).reshape(2, 3)
    plan = OPTIMISERS[name](quadratic(goal), default(name))
    assert (plan.mean - goal).abs().max() < 0.2
    assert plan.best_cost == pytest.approx(float((plan.best - goal).square().sum()), abs=1e-5)
    assert plan.elite_costs[-1] < plan.elite_costs[0] / 10
    plan = OPTIMISERS[name](quadratic(goal, limit=0.5), default(name))
    assert max(plan.mean.abs().max(), plan.best.abs().max()) <= 0.5
    # A cost met beyond the limits is not the plan's.
    assert plan.best_cost == pytest.approx(float((plan.best - goal).square().sum()), abs=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_every_optimiser_survives_costs_that_are_not_numbers(name):
    goal = torch.zeros(2, 3)

    def cost(x):
        return torch.where(x[:, 0, 0] > 0.5, torch.nan, (x - goal).square().sum((1, 2)))

    problem = Problem(cost, torch.ones(2, 3), torch.ones(2, 3), -goal[0] - 2, goal[0] + 2, 0)
    plan = OPTIMISERS[name](problem, default(name))
    assert plan.mean.isfinite().all() and np.isfinite(plan.best_cost)
    never = dataclasses.replace(problem, cost=lambda x: x.sum((1, 2)) * torch.nan)
    assert OPTIMISERS[name](never, default(name)).mean.isfinite().all()


@pytest.mark.parametrize("name", ALL)
def test_every_optimiser_beats_chance_and_repeats_itself(name):
    goal = goal_near(1)
    agent = ToGoal(goal, planner=name if name in PLANNERS else "cem")
    first = play(agent, seed=5)
    error = np.linalg.norm(keypoints_of(first[-1]) - keypoints_of(goal), axis=-1).mean()
    start = np.linalg.norm(keypoints_of(INIT_JOINTS) - keypoints_of(goal), axis=-1).mean()
    assert error < 0.06 < 0.1 < start
    other = play(agent, seed=6)
    assert np.array_equal(play(agent, seed=5), first) and not np.array_equal(first, other)


@pytest.mark.parametrize("name", ALL)
def test_every_optimiser_says_what_it_tried(name):
    goal, budget = torch.linspace(-1, 1, 6).reshape(2, 3), default(name)
    problem = quadratic(goal, limit=0.5)
    plan = OPTIMISERS[name](problem, budget)
    first, last = plan.populations[0], plan.populations[-1]
    assert len(plan.populations) == getattr(budget, "iterations", 2)
    for tried in (first, last):
        assert torch.allclose(tried.costs, problem.cost(tried.candidates), atol=1e-5)
        assert torch.equal(tried.elites, tried.costs.argsort(stable=True)[: len(tried.elites)])
        assert tried.candidates.abs().max() <= 0.5
    assert len(first.costs) == budget.samples
    assert plan.elite_costs[-1] == pytest.approx(float(last.costs[last.elites].mean()))
    lowest = min(float(tried.costs.min()) for tried in plan.populations)
    assert plan.best_cost == pytest.approx(lowest)
    if name == "cem":
        assert torch.allclose(plan.mean, last.candidates[last.elites].mean(0))


def test_mppi_weighs_elites_by_their_cost():
    problem, seen = watched_problem()
    plan = mppi(problem, MPPIConfig(20, 4, 1, 0.5))
    elites = seen[0].flatten().sort().values[:4]
    weights = (-elites / (0.5 * elites.std(correction=0))).softmax(0)
    assert torch.allclose(plan.mean.flatten(), weights @ elites)
    assert torch.allclose(plan.std.square().flatten(), weights @ (elites - plan.mean[0]) ** 2)
    cold = mppi(problem, MPPIConfig(20, 4, 1, 1e-3))
    assert torch.allclose(cold.mean, cold.best)


def test_gradient_tries_the_initial_mean_and_the_draws_of_cem_first():
    seen = []
    goal = torch.full((2, 3), 0.3)
    problem = quadratic(goal)

    def watched(x):
        seen.append(x.detach())
        return problem.cost(x)

    config = GradientConfig(samples=10, restarts=3, steps=2, rate=0.1)
    gradient(dataclasses.replace(problem, cost=watched), config)
    draws = noise((10, 2, 3), 1, 0, 0).clamp(-2, 2)
    assert [len(x) for x in seen] == [10, 3, 3, 3]
    assert torch.equal(seen[0][0], problem.mean) and torch.equal(seen[0][1:], draws[1:])
    best = problem.cost(seen[0]).argsort()[:3]
    assert torch.allclose(seen[1], seen[0][best], atol=1e-6)
    # Adam's first step is as long as its rate, in every joint, downhill.
    assert torch.allclose(seen[2] - seen[1], 0.1 * (goal - seen[1]).sign(), atol=1e-4)


def test_gradient_moves_a_tight_joint_little():
    plan = gradient(quadratic(torch.ones(2, 3), std=0.01), GradientConfig(steps=10, rate=0.2))
    # The best draw lies within 4 standard deviations, and ten steps of 0.2 of them lead on.
    assert 0 < float(plan.best.abs().max()) < 0.01 * 6


def test_a_joint_without_a_deviation_stays():
    std = torch.ones(2, 3)
    std[:, 1] = 0
    problem = dataclasses.replace(quadratic(torch.ones(2, 3)), std=std)
    plan = gradient(problem, GradientConfig(steps=10, rate=0.2))
    assert plan.best.isfinite().all() and plan.best[:, 1].abs().max() < 1e-4
    assert plan.best[:, 0].min() > 0.3


def test_gradient_leaves_a_limit_again():
    # A start on the limit, with the minimum inside: a clamped joint must not be stuck there.
    problem = Problem(
        lambda x: (x - 0.2).square().sum((1, 2)),
        torch.ones(1, 2),
        torch.ones(1, 2),
        torch.zeros(2),
        torch.ones(2),
        0,
    )
    plan = gradient(problem, GradientConfig(samples=1, restarts=1, steps=40, rate=0.1))
    assert torch.allclose(plan.best, torch.full((1, 2), 0.2), atol=0.05)


def test_gradient_goes_on_where_one_joint_has_no_slope():
    def cost(x):  # The root of a square has no slope at zero, where joint 0 starts.
        return x[:, 0, 0].square().sqrt() + (x[:, 0, 1] - 1).square()

    bound = torch.full((2,), 2.0)
    problem = Problem(cost, torch.zeros(1, 2), torch.ones(1, 2), -bound, bound, 0)
    plan = gradient(problem, GradientConfig(samples=1, restarts=1, steps=30, rate=0.1))
    assert torch.allclose(plan.best, torch.tensor([[0.0, 1.0]]), atol=0.1)


def test_gradient_refuses_a_cost_without_one():
    problem = quadratic(torch.zeros(2, 3))
    flat = dataclasses.replace(problem, cost=lambda x: x.detach().sum((1, 2)))
    with pytest.raises(UserError, match="choose another planner"):
        gradient(flat, GradientConfig())


@pytest.mark.parametrize(
    "bad", [{"restarts": 0}, {"restarts": 65}, {"steps": 0}, {"rate": 0.0}, {"rate": -1.0}]
)
def test_gradient_config_refuses_nonsense(bad):
    with pytest.raises(ValueError, match="restarts"):
        GradientConfig(**bad)


@pytest.mark.parametrize("bad", [{"elites": 0}, {"elites": 65}, {"temperature": 0.0}])
def test_mppi_config_refuses_nonsense(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        MPPIConfig(**bad)


@pytest.mark.parametrize("task", ["reach", "grasp"])
def test_gradient_descends_through_the_world_model(task):
    """With the paper's cost as well, whose angle has no gradient at the dummy grasp itself."""
    start = INIT_JOINTS.astype(np.float32)
    goal = picture(keypoints_of(goal_near(3)))
    obs = {**observation(start), "pixels": picture(keypoints_of(start)), "goal": goal}
    for cost in ("predicted", "own-hand", "paper"):
        agent = DexWM(
            "gradient", cost=cost, dtype="float32", gradient=GradientConfig(8, 2, 3), tile=2
        )
        agent.reset(task, 3)
        agent.act(obs)
        plan = agent.last_plan
        assert plan.elite_costs[-1] < plan.elite_costs[0]
        assert (plan.best >= LOW).all() and (plan.best <= HIGH).all()
        # What the optimiser reports is what the agent's cost says of it.
        with torch.no_grad():
            again = float(agent.cost(plan.best[None], agent.last_context)[0])
        assert again == pytest.approx(plan.best_cost, rel=1e-3)


def test_the_cost_has_a_gradient_at_the_dummy_grasp():
    """There the angle to the neutral orientation, which the cost need not count, has none."""
    start = INIT_JOINTS.astype(np.float32)
    obs = {**observation(start), "pixels": picture(keypoints_of(start))}
    obs["goal"] = picture(keypoints_of(goal_near(3)))
    grasp = torch.tensor(DUMMY_GRASP, dtype=torch.float32)
    sequences = torch.stack([grasp, grasp + 0.1]).requires_grad_()
    for orientation in (0.0, 0.4):
        cost = dataclasses.replace(COSTS["own-hand"], orientation=orientation)
        agent = DexWM(cost=cost, dtype="float32", tile=2)
        agent.reset("grasp", 0)
        with torch.no_grad():
            context = agent.observe(obs)
            angles = agent.terms(sequences, context)[:, ORIENTATION]
        # Left out, not weighted by zero, which would make the slope not a number.
        assert (float(angles[1]) > 0.01) == (orientation > 0)
        if not orientation:
            (slope,) = torch.autograd.grad(agent.cost(sequences, context).sum(), sequences)
            assert slope.isfinite().all() and (slope.abs().sum(-1) > 0).all()


def test_what_dexwm_expects_is_what_it_sees_there(monkeypatch):
    monkeypatch.setattr(Keypoints, "shows_hand", lambda self: True)  # of a drawn square or two
    agent = DexWM(dtype="float32")
    start = INIT_JOINTS.astype(np.float32)
    obs = {**observation(start), "pixels": picture(keypoints_of(start))}
    obs["goal"] = obs["pixels"]
    agent.reset("reach", 0)
    context = agent.observe(obs)
    belief = agent.predict(torch.from_numpy(start).expand(2, 3, 23), context)
    seen = agent.see(obs["pixels"])
    assert belief.keypoints.shape == (2, 3, 17, 3) and belief.latent.shape[:2] == (2, 3)
    assert belief.latent.shape[2:] == seen.latent.shape and seen.keypoints.shape == (17, 3)
    read = agent.model.head(belief.latent[:, 1]).points()
    assert torch.allclose(read, belief.keypoints[:, 1], atol=1e-4)


def test_without_a_model_the_hand_is_expected_at_the_waypoint():
    goal = goal_near(4)
    belief = ToGoal(goal).predict(torch.from_numpy(goal).expand(1, 2, 23), None)
    np.testing.assert_allclose(belief.keypoints[0, 1], keypoints_of(goal)[:17], atol=1e-5)
