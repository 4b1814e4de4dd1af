import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from support.synthetic_store import write_store
from support.trainings import strict_rows

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.diffusion_policy.agent import DiffusionPolicy
from dexbench.agents.diffusion_policy.checkpoint import load_policy, save_policy
from dexbench.agents.diffusion_policy.chunks import draw_indices
from dexbench.agents.diffusion_policy.config import PolicyConfig
from dexbench.agents.diffusion_policy.model import (
    DiffusionPolicyModel,
    sample,
    scheduler,
    share_at_start,
)
from dexbench.agents.diffusion_policy.train import PolicyTrainer, train
from dexbench.agents.diffusion_policy.train_config import PolicyTrainConfig
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.weights import read_tensors
from dexbench.envs.embodiment.robot import HIGHEST, INIT_JOINTS, LOWEST
from dexbench.utils.errors import UserError
from dexbench.utils.seeding import rng
from dexbench.utils.video import downsample

TINY = PolicyConfig(dim=32, blocks=2, heads=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), episodes=5, frames=30)


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """A tiny policy trained for 40 steps, and what was logged of each step."""
    out = tmp_path_factory.mktemp("policy") / "policy.safetensors"
    rows = []
    result = train(settings(store, out, steps=40), rows.append)
    return out, rows, result


def settings(store, out, **changes):
    basic = {
        "data": (store,),
        "out": out,
        "batch": 32,
        "threads": 1,
        "validate_every": 20,
        "progress": False,
        "model": TINY,
        "ema": 0.9,
        "rate": 8e-3,
    }
    return PolicyTrainConfig(**(basic | changes))


def observation(seed=0):
    draw = rng("observation", seed)
    joints = np.clip(INIT_JOINTS, LOWEST, HIGHEST).astype(np.float32)
    pictures = draw.integers(0, 256, (2, 224, 392, 3), dtype=np.uint8)
    return {"pixels": pictures[0], "goal": pictures[1], "agent_pos": joints}


def assert_same_tensors(one, two):
    """The files' headers differ: they hold times and paths."""
    first, second = read_tensors(one)[0], read_tensors(two)[0]
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_chunks_contexts_and_goals_stay_in_their_episode(store, tmp_path):
    episodes = load_episodes([store], tmp_path, progress=False)
    chosen = np.array([1, 3])
    seen, acted, goal = draw_indices(episodes, chosen, rng("t"), 2000, PolicyConfig())
    assert (seen.shape, acted.shape, goal.shape) == ((2000, 2), (2000, 9), (2000,))
    episode = seen[:, 1] // 30
    assert set(episode) == {1, 3}
    for index in (seen[:, 0], acted[:, -1], goal):
        assert np.array_equal(index // 30, episode)
    now = seen[:, 1] % 30
    assert np.array_equal(acted[:, 0], seen[:, 1]), "the first target is the one given at the view"
    assert np.array_equal(seen[:, 1] - seen[:, 0], np.minimum(now, 9)), "a chunk apart"
    ahead = (goal - seen[:, 1])[:, None]
    assert np.array_equal(acted - acted[:, :1], np.minimum(np.arange(9), ahead - 1)), "then stays"
    assert (goal > seen[:, 1]).all() and (goal % 30).max() == 29
    # Uniform over what is left: on average half way.
    left = (29 - now).astype(float)
    assert abs(((goal - seen[:, 1]) / (left + 1)).mean() - 0.5) < 0.02


def test_a_target_does_not_see_those_after_it():
    model = DiffusionPolicyModel(TINY, ModelConfig()).eval()
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 9, 23, generator=generator)
    rest = (
        torch.tensor([3]),
        torch.randn(1, 2, 128, generator=generator),
        torch.zeros(1, 2, 23),
        torch.randn(1, 128, generator=generator),
    )
    with torch.no_grad():
        before = model.denoiser(noisy, *rest)
        noisy[:, 5] += 1
        after = model.denoiser(noisy, *rest)
    assert torch.allclose(before[:, :5], after[:, :5], atol=1e-6)
    assert not torch.allclose(before[:, 5:], after[:, 5:], atol=1e-3)


@pytest.mark.parametrize("index", range(5))
def test_every_input_matters(index):
    model = DiffusionPolicyModel(TINY, ModelConfig()).eval()
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 9, 23), None, (1, 2, 128), (1, 2, 23), (1, 128))
    inputs = [
        torch.tensor([3]) if s is None else torch.randn(s, generator=generator) for s in shapes
    ]
    with torch.no_grad():
        before = model.denoiser(*inputs)
        inputs[index] = inputs[index] + 1
        assert not torch.allclose(before, model.denoiser(*inputs), atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize(("name", "steps"), [("ddpm", 100), ("ddim", 16)])
def test_a_perfect_denoiser_is_sampled_back_to_the_data(name, steps, prediction):
    """What leads to a known chunk is known in closed form; sampling must find it."""
    chunk = torch.from_numpy(rng("chunk").uniform(-0.9, 0.9, (1, 9, 23)).astype(np.float32))
    config = dataclasses.replace(TINY, prediction=prediction)
    model = DiffusionPolicyModel(config, ModelConfig())
    model.low.fill_(-2.0)
    model.high.fill_(3.0)
    alphas = scheduler(config, name).alphas_cumprod

    class Perfect(torch.nn.Module):
        def forward(self, noisy, level, *_):
            share = alphas[level][:, None, None]
            noise = (noisy - share.sqrt() * chunk) / (1 - share).sqrt()
            mixture = share.sqrt() * noise - (1 - share).sqrt() * chunk
            return {"epsilon": noise, "sample": chunk, "v_prediction": mixture}[prediction]

    model.denoiser = Perfect()
    joints = torch.linspace(-1, 1, 46).reshape(1, 2, 23)
    found = sample(model, torch.zeros(1, 2, 128), joints, torch.zeros(1, 128), 0, name, steps)
    assert (found - model.unscale_chunk(chunk, joints[:, 1])).abs().max() < 0.02


def test_targets_are_offsets_from_the_present_joints_over_the_datas_range(trained, store, tmp_path):
    path, *_ = trained
    model, _ = load_policy(path)
    episodes = load_episodes([store], tmp_path, progress=False)
    training = np.flatnonzero(~episodes.validation)
    seen, acted, _ = draw_indices(episodes, training, rng("scale"), 500, TINY)
    now = torch.from_numpy(episodes.joints[seen[:, -1]])
    targets = torch.from_numpy(episodes.targets[acted])
    scaled = model.scale_chunk(targets, now)
    assert scaled.abs().max() <= 1 and scaled.abs().amax((0, 2))[1:].min() > 0.7, "at every step"
    assert torch.allclose(model.unscale_chunk(scaled, now), targets, atol=1e-5)
    joints = model.scale(torch.from_numpy(episodes.joints[seen]))
    assert joints.abs().max() <= 1
    frames = np.concatenate([episodes.first[e] + np.arange(30) for e in training])
    pooled = model.pool(torch.from_numpy(np.array(episodes.frames[frames])))
    features = model.standardise(pooled)
    assert features.mean(0).abs().max() < 0.05 and (features.std(0) - 1).abs().max() < 0.1


def test_a_short_runs_average_forgets_where_it_began(store, tmp_path):
    """At the first steps the moving average is nearly the weights themselves."""
    config = settings(store, tmp_path / "p.safetensors", steps=30, ema=0.9999)
    trainer = PolicyTrainer(config)
    began = trainer.model.denoiser.out.weight.detach().clone()
    trained_to = []
    trainer.on_step = lambda row: trained_to.append(
        trainer.model.denoiser.out.weight.detach().clone()
    )
    trainer.run()
    kept = trainer.average.module.out.weight
    assert (kept - trained_to[-1]).norm() < 0.5 * (began - trained_to[-1]).norm()
    stored = load_policy(config.out)[0].denoiser.out.weight
    assert torch.equal(stored, kept.half().float()), "the average is what is kept"
    assert not torch.equal(stored, trained_to[-1].half().float())


def test_validation_is_of_held_out_episodes(store, tmp_path, monkeypatch):
    trainer = PolicyTrainer(settings(store, tmp_path / "p.safetensors", steps=1))
    drawn, batch = [], trainer.batch

    def spy(generator, count, chosen):
        drawn.append(chosen)
        return batch(generator, count, chosen)

    monkeypatch.setattr(trainer, "batch", spy)
    trainer.validate()
    (chosen,) = drawn
    assert trainer.episodes.validation[chosen].all()
    assert not trainer.episodes.validation[trainer.training].any()


def test_an_unknown_scheduler_is_refused():
    with pytest.raises(ValueError, match=r"unknown scheduler 'euler'; choose one of \['ddim'"):
        scheduler(TINY, "euler")


def test_training_learns_and_is_repeatable(trained, store, tmp_path):
    path, rows, _ = trained
    losses = [row["loss"] for row in rows]
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    again = []
    train(settings(store, tmp_path / "p.safetensors", steps=40), again.append)
    assert [row["loss"] for row in again] == losses
    assert_same_tensors(tmp_path / "p.safetensors", path)


def test_a_run_that_was_killed_goes_on_with_the_same_losses(trained, store, tmp_path):
    path, rows, _ = trained

    class KilledError(Exception):
        pass

    def kill(row):
        if row["step"] == 27:  # the checkpoint is of step 20
            raise KilledError

    config = settings(store, tmp_path / "p.safetensors", steps=40)
    with pytest.raises(KilledError):
        train(config, kill)
    resumed = []
    train(config, resumed.append)
    assert_same_tensors(tmp_path / "p.safetensors", path)
    assert [row["loss"] for row in resumed] == [row["loss"] for row in rows][20:]
    logged = (tmp_path / "p.safetensors.work" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in logged if "loss" in line and "valid" not in line]
    assert steps == list(range(1, 41))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_checkpoint(store, tmp_path, value):
    out, steps = tmp_path / "p.safetensors", []
    trainer = PolicyTrainer(settings(store, out, steps=9, validate_every=2), steps.append)
    measured = trainer.loss
    trainer.loss = lambda *given: measured(*given) * (value if len(steps) == 4 else 1.0)
    with pytest.raises(UserError, match=f"loss is {value} at step 5.*a lower --rate.*--out"):
        trainer.run()
    assert [row["step"] for row in steps] == [1, 2, 3, 4] and not out.exists()
    tensors, metadata = read_tensors(tmp_path / "p.safetensors.work" / "checkpoint.safetensors")
    assert json.loads(metadata["state"])["step"] == 4
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert strict_rows(out)[-1]["loss"] is None


def test_places_are_tried_before_the_first_step(store, tmp_path):
    file = tmp_path / "file"
    file.touch()
    for change, message in (
        ({"out": tmp_path}, "--out .* is a folder"),
        ({"out": file / "p.safetensors"}, "--out: nothing can be written into"),
        ({"work": file}, "--work: nothing can be written into"),
        ({"features": file}, "--features: nothing can be written into"),
    ):
        basic = {"out": tmp_path / "p.safetensors", "steps": 1} | change
        with pytest.raises(UserError, match=message):
            train(settings(store, **basic), lambda row: pytest.fail("it trained"))


def test_another_runs_checkpoint_is_refused(trained, store, tmp_path):
    out = tmp_path / "p.safetensors"
    train(settings(store, out, steps=2))
    with pytest.raises(UserError, match="other data, seed, encoder or batches"):
        train(settings(store, out, steps=4, seed=1))


def test_bad_settings_are_refused(store, tmp_path, monkeypatch):
    for bad, message in (
        ({"minutes": 0}, "--minutes and --rate must be above 0"),
        ({"ema": 1.0}, "--ema and --holdout, which are shares"),
        ({"threads": 0}, "--threads is 0, expected at least 1"),
        ({"steps": -1}, "--steps is -1, expected at least 0"),
        ({"rate": -1.0}, "--minutes and --rate must be above 0"),
    ):
        with pytest.raises(UserError, match=message):
            train(settings(store, tmp_path / "p.safetensors", **bad))
    with pytest.raises(UserError, match="in which an object was lifted"):
        train(settings(store, tmp_path / "p.safetensors", lifted_only=True))
    with monkeypatch.context() as variables, pytest.raises(UserError, match="leave torchrun out"):
        variables.setenv("WORLD_SIZE", "2")
        train(settings(store, tmp_path / "p.safetensors", steps=1))
    other = PolicyConfig(dim=32, blocks=1, heads=2, feature_dim=64)
    with pytest.raises(UserError, match="128 channels"):
        train(settings(store, tmp_path / "p.safetensors", model=other))
    for sizes, message in (
        ({"heads": 3}, "model.dim is 128, expected a multiple of 3"),
        ({"context": 0}, "--model.context is 0, expected at least 1"),
        ({"joints": 7}, "the robot commands 23"),
    ):
        with pytest.raises(UserError, match=message):
            PolicyConfig(**sizes)
    for pool in ((3, 1), (0, 1)):
        with pytest.raises(UserError, match="divide the encoder.s 8 rows and 14 columns"):
            DiffusionPolicyModel(dataclasses.replace(TINY, pool=pool), ModelConfig())


def test_weights_come_back_as_they_were_written(trained, tmp_path):
    path, _, result = trained
    model, digest = load_policy(path)
    assert digest == result["weights_hash"]
    tensors, metadata = read_tensors(path)
    assert metadata["format"] == "dexbench-diffusion-policy-1"
    for name, value in model.state_dict().items():
        assert torch.equal(value, tensors[name].float())
    for name in ("low", "high", "middle", "spread"):
        assert tensors[name].dtype == torch.float32
    assert save_policy(tmp_path / "again", model, json.loads(metadata["notes"])) == digest


def test_other_files_are_refused(tmp_path):
    from dexbench.agents.dexwm.model.checkpoint import PACKAGED

    with pytest.raises(UserError, match="a Diffusion Policy has 'dexbench-diffusion-policy-1'"):
        load_policy(PACKAGED["dexwm"])
    with pytest.raises(UserError, match="no weights at"):
        load_policy(tmp_path / "none")
    (tmp_path / "damaged").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="damaged"):
        load_policy(tmp_path / "damaged")


@pytest.mark.parametrize(("name", "levels"), [("ddpm", 100), ("ddim", 16), ("ddim", 50)])
def test_sampling_begins_in_noise(name, levels, trained):
    agent = DiffusionPolicy(trained[0], scheduler=name, steps=levels)
    assert share_at_start(agent.model.config, levels) < 0.03


@pytest.mark.parametrize("steps", [1, 51, 60])
def test_steps_that_begin_far_below_noise_are_refused(steps, trained):
    assert share_at_start(PolicyConfig(), steps) > 0.3
    with pytest.raises(UserError, match="would not begin in noise; choose another number") as error:
        DiffusionPolicy(trained[0], steps=steps)
    for number in re.findall(r"[0-9]+", str(error.value).partition("such as")[2]):
        DiffusionPolicy(trained[0], steps=int(number))


def test_the_agent_repeats_itself_and_depends_on_its_seed(trained):
    path = trained[0]
    one, two = DiffusionPolicy(path), DiffusionPolicy(path)
    plays = []
    for agent, seed in ((one, 5), (two, 5), (one, 6)):
        agent.reset("grasp", seed)
        plays.append([agent.act(observation(k)) for k in range(3)])
    assert all(a.shape == (9, 23) and a.dtype == np.float32 for a in plays[0])
    assert all(((a >= LOWEST) & (a <= HIGHEST)).all() for a in plays[0])
    assert all(np.array_equal(a, b) for a, b in zip(plays[0], plays[1], strict=True))
    assert not np.array_equal(plays[0][0], plays[2][0])


def test_the_context_holds_the_present_and_the_last_decisions_view(trained, monkeypatch):
    agent = DiffusionPolicy(trained[0])
    seen = []

    def spy(model, pictures, joints, goal, seed, *_):
        seen.append((pictures, goal))
        return torch.zeros(1, 9, 23)

    monkeypatch.setattr("dexbench.agents.diffusion_policy.agent.sample", spy)
    agent.reset("reach", 0)
    views = [observation(k) for k in range(3)]
    for view in views:
        agent.act(view)
    with torch.inference_mode():
        pooled = [agent.pool(view["pixels"]) for view in views]
        wanted = agent.pool(views[0]["goal"])
    for (pictures, goal), pair in zip(seen, ((0, 0), (0, 1), (1, 2)), strict=True):
        assert torch.equal(pictures[0], torch.cat([pooled[i] for i in pair]))
        assert torch.equal(goal, wanted), "the goal is looked at once"


def test_features_are_the_encoders_averaged(trained):
    agent = DiffusionPolicy(trained[0])
    pixels = observation()["pixels"]
    tokens = agent.model.encoder(torch.from_numpy(downsample(pixels))[None])
    assert torch.allclose(agent.pool(pixels), tokens.mean(1))


def test_a_cells_features_are_those_of_its_tokens():
    model = DiffusionPolicyModel(dataclasses.replace(TINY, pool=(4, 7)), ModelConfig())
    pixels = torch.from_numpy(downsample(observation()["pixels"]))[None]
    with torch.no_grad():
        tokens = model.encoder(pixels)[0].unflatten(0, (8, 14))
        pooled = model.pool(pixels)[0].unflatten(0, (4, 7, 128))
    assert torch.allclose(pooled[1, 2], tokens[2:4, 4:6].mean((0, 1)), atol=1e-6)
    assert torch.allclose(pooled[3, 6], tokens[6:8, 12:14].mean((0, 1)), atol=1e-6)
    assert model.denoiser.goal.in_features == pooled.numel()
