"""Which settings a continued run may change, of both trainers."""

import dataclasses
from pathlib import Path

import pytest
from support.synthetic_store import write_store
from support.trainings import SMALL, config

from dexbench.agents.dexwm.training.config import TrainConfig
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.diffusion_policy.config import PolicyConfig
from dexbench.agents.diffusion_policy.train import train as train_policy
from dexbench.agents.diffusion_policy.train_config import PolicyTrainConfig
from dexbench.agents.learning.settings import CHANGEABLE, RESOLVED, identity
from dexbench.agents.learning.weights import read_tensors
from dexbench.utils.errors import UserError

MAY_CHANGE = {
    TrainConfig: {
        "minutes": 5.0,
        "steps": (2, 1, 1),
        "shares": (0.5, 0.5, 0.0),
        "threads": 2,
        "accumulate": 2,
        "device": "auto",
        "validate_every": 7,
        "validation_windows": 3,
        "checkpoint_every": 7,
        "activation_checkpointing": True,
    },
    PolicyTrainConfig: {
        "minutes": 5.0,
        "steps": 3,
        "threads": 2,
        "device": "auto",
        "validate_every": 7,
        "features": Path("features"),
    },
}
"""Another value of each setting that a continued run may change."""
MUST_STAY = {
    TrainConfig: {
        "seed": 1,
        "dtype": "bfloat16",
        "images": 4,
        "clips": 3,
        "rates": (1e-3, 1e-3, 1e-3),
        "keypoint_weight": 0.2,
        "hand_weight": 0.5,
        "holdout": 0.5,
        "recipe": "paper",
        "end_to_end": True,
        "data_shares": (1.0,),
        "max_rate": 5.0,
        "features": Path("features"),
        "model": dataclasses.replace(SMALL, predictor_blocks=3),
    },
    PolicyTrainConfig: {
        "seed": 1,
        "batch": 5,
        "rate": 1e-4,
        "ema": 0.9,
        "holdout": 0.5,
        "lifted_only": True,
        "model": PolicyConfig(dim=32, heads=2),
    },
}
"""Another value of each setting that makes another run."""
ELSEWHERE = {"data", "out", "work", "progress", "init", "size", "encoder", "encoder_weights"}
ELSEWHERE |= {"depth_head", "object_weight"}
"""Settings that name files, a pretrained encoder or an object map; other tests cover them."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each trainer that has ended, by its settings' class."""
    folder = tmp_path_factory.mktemp("runs")
    store = write_store(folder / "set", lifted=True)
    dexwm = config(store, folder / "dexwm", steps=(2, 1, 1), clips=4, work=folder / "dexwm.work")
    policy = PolicyTrainConfig(
        (store,),
        folder / "policy",
        folder / "policy.work",
        steps=2,
        batch=4,
        threads=1,
        progress=False,
        model=PolicyConfig(dim=16, blocks=1, heads=2),
    )
    train(dexwm)
    train_policy(policy)
    return {TrainConfig: (train, dexwm), PolicyTrainConfig: (train_policy, policy)}


def cases(table):
    return [(kind, name, value) for kind, values in table.items() for name, value in values.items()]


def changed(runs, tmp_path, kind, name, value):
    """A trainer, and the settings of its run with another value of one."""
    run, settings = runs[kind]
    value = tmp_path / value if isinstance(value, Path) else value
    return run, dataclasses.replace(settings, **{name: value})


@pytest.mark.parametrize(("kind", "name", "value"), cases(MAY_CHANGE))
def test_a_run_continues_with_another_value(runs, tmp_path, kind, name, value):
    run, settings = changed(runs, tmp_path, kind, name, value)
    checkpoint = settings.work / "checkpoint.safetensors"
    before = read_tensors(checkpoint)[1]["identity"]
    run(settings)
    assert read_tensors(checkpoint)[1]["identity"] == before


@pytest.mark.parametrize(("kind", "name", "value"), cases(MUST_STAY))
def test_another_value_makes_another_run(runs, tmp_path, kind, name, value):
    run, settings = changed(runs, tmp_path, kind, name, value)
    with pytest.raises(UserError, match="belongs to a run with other"):
        run(settings)


@pytest.mark.parametrize("kind", [TrainConfig, PolicyTrainConfig])
def test_every_setting_is_part_of_the_identity_unless_its_field_says_otherwise(kind):
    fields = {field.name: field.metadata for field in dataclasses.fields(kind)}
    assert set(fields) == {*MAY_CHANGE[kind], *MUST_STAY[kind], *ELSEWHERE} & set(fields)
    assert all(metadata in ({}, CHANGEABLE, RESOLVED) for metadata in fields.values())
    assert set(identity(kind(data=()))) == {n for n, metadata in fields.items() if not metadata}
