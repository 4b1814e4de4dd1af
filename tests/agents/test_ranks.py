"""Training under torchrun: several processes do what one does."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from synthetic_store import write_store
from test_dexwm_train import config, losses

from dexbench.agents.dexwm.train import train
from dexbench.agents.ranks import Ranks
from dexbench.agents.tensors import read_tensors
from dexbench.envs.errors import UserError

SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
from dexbench.agents.dexwm.config import ModelConfig
from dexbench.agents.dexwm.train import TrainConfig, train

settings = json.loads(sys.argv[1])
settings["model"] = ModelConfig.from_json(json.dumps(settings["model"]))
for name in ("out", "features"):
    settings[name] = settings[name] and Path(settings[name])
settings["data"] = (Path(settings["data"]),)
train(TrainConfig(**settings))
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


def arguments(settings, script):
    """The command that trains with ``settings`` in two processes."""
    script.write_text(SCRIPT)
    kept = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in ("data", "out", "features", "model")
        and getattr(settings, field.name) != field.default
    }
    kept |= {
        "data": str(settings.data[0]), "out": str(settings.out), "model": settings.model.settings(),
        "features": settings.features and str(settings.features),
    }  # fmt: skip
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(script), json.dumps(kept),
    ]  # fmt: skip


def assert_same_run(one, two):
    """The same losses and weights, but for the order of sums."""
    assert len(losses(one)) == len(losses(two)) > 0
    for (stage, step, value), (*name, other) in zip(losses(one), losses(two), strict=True):
        assert name == [stage, step] and other == pytest.approx(value, rel=1e-3)
    first, second = read_tensors(one)[0], read_tensors(two)[0]
    assert all(torch.allclose(first[k], second[k], atol=4e-3) for k in first)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["compact", "paper", "features", "activation checkpointing"])
def test_two_processes_train_as_one(store, tmp_path, form):
    changes = {"images": 6, "clips": 4, "steps": (4, 4, 4)}
    base = config(store, tmp_path / "one.safetensors", **changes)
    if form == "paper":
        model = dataclasses.replace(base.model, cdit="paper", head="paper")
        base = dataclasses.replace(base, model=model)
    elif form == "features":
        base = dataclasses.replace(base, features=tmp_path / "f")
    train(base)
    several = dataclasses.replace(
        base, out=tmp_path / "two.safetensors",
        activation_checkpointing=form == "activation checkpointing",
    )  # fmt: skip
    done = subprocess.run(
        arguments(several, tmp_path / "script.py"), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert_same_run(base.out, several.out)


@pytest.mark.slow
def test_a_run_of_two_processes_that_was_killed_goes_on_in_one(store, tmp_path):
    changes = {"images": 6, "clips": 4, "steps": (8, 200, 2), "checkpoint_every": 2}
    whole = config(store, tmp_path / "one.safetensors", **changes | {"steps": (8, 12, 2)})
    cut = dataclasses.replace(whole, out=tmp_path / "two.safetensors", steps=(8, 200, 2))
    command = arguments(cut, tmp_path / "script.py")
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    metrics = tmp_path / "two.safetensors.work" / "metrics.jsonl"
    def reached() -> bool:
        return metrics.exists() and '"predictor", "step": 7' in metrics.read_text()

    while process.poll() is None and not reached():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() != 0
    assert json.loads(metrics.read_text().splitlines()[-1])["step"] < 12
    train(whole)
    train(dataclasses.replace(cut, steps=whole.steps))
    assert_same_run(whole.out, cut.out)


def test_a_batch_that_cannot_be_shared_is_refused():
    alone = Ranks("cpu")
    batch = torch.arange(6)
    assert alone.first and torch.equal(alone.part(batch), batch)
    shares = []
    for rank in range(3):
        alone.rank, alone.count = rank, 3
        shares.append(alone.part(batch))
    assert torch.equal(torch.cat(shares), batch)
    alone.count = 4
    with pytest.raises(UserError, match="4 processes cannot share batches of 6 .* multiple of 4"):
        alone.part(batch)


def test_activations_computed_again_change_nothing(store, tmp_path):
    plain = config(store, tmp_path / "one.safetensors", steps=(1, 2, 2))
    again = dataclasses.replace(
        plain, out=tmp_path / "two.safetensors", activation_checkpointing=True
    )
    train(plain)
    train(again)
    assert losses(plain.out) == losses(again.out)
