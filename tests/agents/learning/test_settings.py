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
from dexbench.utils.errors import UserError

DEXWM = {
    "minutes": 5.0,
    "steps": (2, 1, 1),
    "shares": (0.5, 0.5, 0.0),
    "threads": 2,
    "device": "auto",
    "validate_every": 7,
    "validation_windows": 3,
    "checkpoint_every": 7,
    "activation_checkpointing": True,
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
    "features": Path("elsewhere"),
    "model": dataclasses.replace(SMALL, predictor_blocks=3),
}
"""Another value of each setting; of folders, one that each test makes."""
POLICY = {
    "minutes": 5.0,
    "steps": 3,
    "threads": 2,
    "device": "auto",
    "validate_every": 7,
    "seed": 1,
    "batch": 5,
    "rate": 1e-4,
    "ema": 0.9,
    "holdout": 0.5,
    "lifted_only": True,
    "features": Path("elsewhere"),
    "model": PolicyConfig(dim=32, heads=2),
}
ELSEWHERE = {"data", "out", "work", "progress", "init", "size", "encoder", "encoder_weights"}
ELSEWHERE |= {"depth_head"}
"""Settings that name files or a pretrained encoder; other tests cover them."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each trainer that has ended, by its settings' class."""
    folder = tmp_path_factory.mktemp("runs")
    store = write_store(folder / "set", lifted=True)
    dexwm = config(store, folder / "dexwm", steps=(2, 1, 1), work=folder / "dexwm.work")
    policy = PolicyTrainConfig(
        (store,),
        folder / "policy",
        steps=2,
        batch=4,
        threads=1,
        progress=False,
        model=PolicyConfig(dim=16, blocks=1, heads=2),
    )
    train(dexwm)
    train_policy(policy)
    return {TrainConfig: (train, dexwm), PolicyTrainConfig: (train_policy, policy)}


CASES = [
    (kind, field, values[field.name])
    for kind, values in ((TrainConfig, DEXWM), (PolicyTrainConfig, POLICY))
    for field in dataclasses.fields(kind)
    if field.name not in ELSEWHERE
]


@pytest.mark.parametrize(("kind", "field", "value"), CASES)
def test_a_run_continues_unless_its_identity_is_another(runs, tmp_path, kind, field, value):
    run, settings = runs[kind]
    if field.name == "features":
        value = tmp_path
    changed = dataclasses.replace(settings, **{field.name: value})
    assert getattr(changed, field.name) != getattr(settings, field.name) or field.name == "steps"
    if field.metadata == CHANGEABLE:
        run(changed)
    else:
        with pytest.raises(UserError, match="belongs to a run with other"):
            run(changed)


@pytest.mark.parametrize("kind", [TrainConfig, PolicyTrainConfig])
def test_a_setting_is_part_of_the_identity_unless_its_field_says_otherwise(kind):
    fields = dataclasses.fields(kind)
    assert all(field.metadata in ({}, CHANGEABLE, RESOLVED) for field in fields)
    stated = {field.name for field in fields if not field.metadata}
    assert set(identity(kind(data=()))) == stated and "seed" in stated
