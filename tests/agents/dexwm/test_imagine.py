"""The picture of what the world model expects."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from support.planners import goal_near, observation
from support.synthetic_store import keypoints_of, picture

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.model.checkpoint import PACKAGED
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.decoder import decoder_path, load_decoder, pictures, save_decoder
from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.planning.cem import CEMConfig
from dexbench.bench.run.trial import play
from dexbench.envs.embodiment.robot import INIT_JOINTS
from dexbench.envs.suite import Suite
from dexbench.utils.errors import UserError
from dexbench.utils.video import downsample


def test_pictures_undo_what_the_decoder_is_trained_on():
    """A decoder that gives the patches of a picture gives the picture."""
    config = ModelConfig()
    image = np.random.default_rng(0).integers(0, 256, (2, 112, 196, 3), dtype=np.uint8)
    decoder = PixelDecoder(config)
    target = decoder.patches(torch.from_numpy(image).float() / 64 - 2)
    decoder.forward = lambda latent: target
    drawn = pictures(decoder, torch.zeros(2, config.tokens, config.latent_dim))
    assert drawn.shape == (2, 224, 392, 3) and drawn.dtype == np.uint8
    assert np.array_equal(drawn[:, ::2, ::2], image) and np.array_equal(drawn[:, 1::2, 1::2], image)


def test_the_packaged_decoder_draws_what_its_encoder_saw():
    """A real kitchen comes back, far nearer to itself than to another."""
    suite, agent = Suite.load("mini"), DexWM(dtype="float32")
    from dexbench.envs.simulation import Simulation

    shown = []
    for index in range(2):
        trial = suite.trial("reach", index)
        simulation = Simulation(trial.xml, trial.objects)
        simulation.set_state(trial.goal_state)
        shown.append(simulation.render())
        simulation.close()
    with torch.no_grad():
        latents = torch.cat([agent.encode(image) for image in shown])
    drawn = pictures(load_decoder(PACKAGED["dexwm"]), latents)
    small = [downsample(image).astype(int) for image in (*shown, *drawn)]
    error = [[np.abs(small[2 + i] - small[j]).mean() for j in range(2)] for i in range(2)]
    assert max(error[0][0], error[1][1]) < 12 < 30 < min(error[0][1], error[1][0])


def test_imagining_follows_the_plan_and_changes_nothing():
    start = INIT_JOINTS.astype(np.float32)
    obs = {**observation(start), "pixels": picture(keypoints_of(start))}
    obs["goal"] = picture(keypoints_of(goal_near(3)))
    chunks = []
    for looks in (0, 2):
        agent = DexWM(cem=CEMConfig(8, 2, 1), tile=8, dtype="float32")
        agent.reset("reach", 0)
        assert agent.imagine() is None, "nothing is planned yet"
        chunks.append(agent.act(obs))
        pictured = [agent.imagine() for _ in range(looks)]
        chunks.append(agent.act({**obs, "steps_left": np.array([40])}))
    assert np.array_equal(chunks[0], chunks[2]) and np.array_equal(chunks[1], chunks[3])
    assert np.array_equal(*pictured) and pictured[0].shape == (224, 392, 3)
    agent.last_plan = dataclasses.replace(agent.last_plan, mean=agent.last_plan.mean + 0.3)
    assert not np.array_equal(agent.imagine(), pictured[0]), "another plan, another picture"


def test_a_decoder_lies_beside_its_weights_or_nowhere(tmp_path):
    weights = tmp_path / "mine.safetensors"
    shutil.copy(PACKAGED["dexwm"], weights)
    assert load_decoder(weights) is None
    agent = DexWM(weights=weights, cem=CEMConfig(2, 1, 1), tile=2, dtype="float32")
    agent.reset("reach", 0)
    start = INIT_JOINTS.astype(np.float32)
    image = picture(keypoints_of(start))
    agent.act({**observation(start), "pixels": image, "goal": image})
    assert agent.imagine() is None
    decoder = PixelDecoder(ModelConfig())
    save_decoder(weights, decoder)
    found = load_decoder(weights)
    assert torch.allclose(found.out.weight, decoder.out.weight, atol=1e-3)
    decoder_path(weights).write_bytes(b"nothing")
    with pytest.raises(UserError, match="mine.decoder.safetensors is damaged"):
        DexWM(weights=weights)


class Dreamer:
    """Expects red, then green, then blue."""

    def reset(self, task, seed):
        self.colour = -1

    def act(self, obs):
        self.colour += 1
        return np.repeat(obs["agent_target"][None], 20, axis=0)

    def imagine(self):
        return np.broadcast_to(
            np.uint8(255) * np.eye(3, dtype=np.uint8)[self.colour], (224, 392, 3)
        )


class Vague(Dreamer):
    """Imagines once, then fails, then something of another size."""

    def imagine(self):
        if self.colour == 1:
            raise RuntimeError("no idea")
        return super().imagine() if self.colour == 0 else np.zeros((2, 2, 3))


def test_what_is_imagined_decides_no_trial():
    from dexbench.envs.task_envs import make_env

    env, rows, shown = make_env("reach"), [], []
    with pytest.warns(UserWarning) as warned:
        for frames in (None, []):
            played = play(env, Vague(), suite="mini", task="reach", trial=0, frames=frames)
            rows.append({key: value for key, value in played.row.items() if key != "timing"})
            shown = frames
    env.close()
    said = " ".join(str(warning.message) for warning in warned)
    assert "Vague.imagine failed: RuntimeError: no idea" in said
    assert "gave float64 (2, 2, 3), expected uint8 (224, 392, 3)" in said
    assert rows[0] == rows[1] and rows[0]["error"] is None
    assert {frame.shape for frame in shown} == {(224, 1176, 3)}
    assert {int(frame[100, 1000].argmax()) for frame in shown} == {0}, "the last that came stays"


def test_videos_show_what_is_expected_beside_what_comes():
    from dexbench.envs.task_envs import make_env

    env, frames = make_env("reach"), []
    played = play(env, Dreamer(), suite="mini", task="reach", trial=0, frames=frames)
    env.close()
    assert played.row["error"] is None and len(frames) == 61
    assert {frame.shape for frame in frames} == {(224, 1176, 3)}
    colours = [int(frame[100, 1000].argmax()) for frame in frames]
    assert colours == [0] * 21 + [1] * 20 + [2] * 20
