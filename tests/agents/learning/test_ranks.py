"""Training under torchrun: several processes do what one does."""

import dataclasses
import json
import subprocess
import sys

import pytest
import torch
from support.recorded import write_egodex
from support.synthetic_store import write_store
from support.trainings import config, losses
from torch.utils.checkpoint import checkpoint

from dexbench.agents.dexwm.model import predictor
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.ranks import Ranks
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError

SCRIPT = """
import dataclasses, json, os, signal, sys
from pathlib import Path
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.training.config import TrainConfig
from dexbench.agents.dexwm.training.train import train

settings, last = json.loads(sys.argv[1]), json.loads(sys.argv[2])
settings["model"] = ModelConfig.from_json(json.dumps(settings["model"]))
for name in ("out", "features"):
    settings[name] = settings[name] and Path(settings[name])
settings["data"] = tuple(map(Path, settings["data"]))

def after(row):
    if last == [row["stage"], row["step"]]:
        os.kill(os.getpid(), signal.SIGKILL)

train(TrainConfig(**settings), after)
"""


FORMS = ["compact", "paper", "features", "activation checkpointing", "mixture"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store") / "set")


def run_two(settings, script, last=None):
    """Trains with ``settings`` in two processes, which kill themselves after step ``last``."""
    script.write_text(SCRIPT)
    kept = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.name not in ("data", "out", "features", "model")
        and getattr(settings, field.name) != field.default
    }
    kept |= {
        "data": [str(folder) for folder in settings.data],
        "out": str(settings.out),
        "model": settings.model.settings(),
        "features": settings.features and str(settings.features),
    }
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
        json.dumps(kept),
        json.dumps(last),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def assert_same_run(one, two, start):
    """The same losses and weights, but for the order of sums; ``start`` has the first weights."""
    assert len(losses(one)) == len(losses(two)) > 0
    for (stage, step, value), (*name, other) in zip(losses(one), losses(two), strict=True):
        assert name == [stage, step] and other == pytest.approx(value, rel=1e-3)
    first, second, begun = (read_tensors(path)[0] for path in (one, two, start))
    moved, apart = (
        sum(float((first[k].float() - other[k].float()).abs().sum()) for k in first)
        for other in (begun, second)
    )
    assert 0 < apart < 0.1 * moved


def untrained(settings):
    """The weights that a run begins with."""
    out = settings.out.with_name("start.safetensors")
    train(dataclasses.replace(settings, out=out, steps=(0, 0, 0)))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", ["compact", "paper", "features", "activation checkpointing", "mixture"]
)
def test_two_processes_train_as_one(store, tmp_path, form):
    changes = {"images": 6, "clips": 4, "steps": (4, 4, 4)}
    base = config(store, tmp_path / "one.safetensors", **changes)
    if form == "paper":
        model = dataclasses.replace(base.model, cdit="paper", head="paper")
        base = dataclasses.replace(base, model=model)
    elif form == "features":
        base = dataclasses.replace(base, features=tmp_path / "f")
    elif form == "mixture":
        for number in range(3):
            write_egodex(tmp_path / "people", f"part1/stack/{number}", 24, number)
        shares = {"data": (store, tmp_path / "people"), "data_shares": (1.0, 2.0)}
        base = dataclasses.replace(base, **shares, clips=8, images=8)
    train(base)
    several = dataclasses.replace(
        base,
        accumulate=2 if form == "mixture" else 1,
        out=tmp_path / "two.safetensors",
        activation_checkpointing=form == "activation checkpointing",
    )
    done = run_two(several, tmp_path / "script.py")
    assert done.returncode == 0, done.stderr
    assert_same_run(base.out, several.out, untrained(base))


@pytest.mark.slow
def test_a_run_of_two_processes_that_was_killed_goes_on_in_one(store, tmp_path):
    changes = {"images": 6, "clips": 4, "steps": (4, 6, 2), "checkpoint_every": 2}
    whole = config(store, tmp_path / "one.safetensors", **changes)
    train(whole)
    cut = dataclasses.replace(whole, out=tmp_path / "two.safetensors")
    done = run_two(cut, tmp_path / "script.py", ["predictor", 5])
    assert done.returncode != 0 and not cut.out.exists()
    assert losses(cut.out)[-1][:2] in [("predictor", 4), ("predictor", 5)]
    train(cut)
    assert_same_run(whole.out, cut.out, untrained(whole))


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


def test_activations_computed_again_change_nothing(store, tmp_path, monkeypatch):
    calls = []

    def counted(*args, **kwargs):
        calls.append(1)
        return checkpoint(*args, **kwargs)

    monkeypatch.setattr(predictor, "checkpoint", counted)
    plain = config(store, tmp_path / "one.safetensors", steps=(1, 2, 2))
    again = dataclasses.replace(
        plain, out=tmp_path / "two.safetensors", activation_checkpointing=True
    )
    train(plain)
    assert not calls
    train(again)
    assert calls and losses(plain.out) == losses(again.out)
