import numpy as np
import pytest
import torch
from support.synthetic_store import write_store
from support.trainings import config

from dexbench.agents.dexwm.training.train import Trainer
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.features import cached_features
from dexbench.utils.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("store"), episodes=5, frames=30)


class Mean(torch.nn.Module):
    """Each picture's mean colour, scaled; counts the pictures it saw."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(scale))
        self.seen = 0

    def forward(self, images):
        self.seen += len(images)
        return images.float().mean((1, 2)) * self.scale / 255


def test_features_are_computed_once_for_each_encoder_data_and_kind(store, tmp_path):
    episodes = load_episodes([store], tmp_path / "frames", progress=False)

    def features(encoder, kind="mean"):
        return cached_features(episodes, encoder, encoder, tmp_path / "f", kind, CPU, False)

    first = Mean()
    made = features(first)
    assert made.shape == (150, 3) and first.seen == 150
    expected = np.stack([frame.mean((0, 1)) for frame in episodes.frames]) / 255
    assert np.abs(made - expected).max() < 1e-3
    again, other = Mean(), Mean(0.5)
    assert np.array_equal(features(again), made) and again.seen == 0
    assert np.abs(features(other) - made / 2).max() < 1e-3 and other.seen == 150
    assert np.array_equal(features(again, "another"), made) and again.seen == 150


def test_features_of_some_frames_are_those_of_all(store, tmp_path):
    episodes = load_episodes([store], tmp_path / "frames", progress=False)

    def features(encoder, index=None):
        folder = tmp_path / "some"
        return cached_features(episodes, encoder, encoder, folder, "mean", CPU, False, index)

    chosen, others = np.array([3, 70, 149]), np.array([3, 71, 149])
    some = Mean()
    made = features(some, chosen)
    assert made.shape == (3, 3) and some.seen == 3
    assert np.array_equal(made, features(Mean())[chosen])
    assert np.array_equal(features(some, chosen), made) and some.seen == 3
    assert not np.array_equal(features(some, others), made) and some.seen == 6


def test_features_that_were_cut_short_are_computed_again(store, tmp_path):
    episodes = load_episodes([store], tmp_path / "frames", progress=False)
    broken = Mean()

    def fail(images):
        if broken.seen:
            raise KeyboardInterrupt
        return broken(images)

    with pytest.raises(KeyboardInterrupt):
        cached_features(episodes, broken, fail, tmp_path / "f", "mean", CPU, False)
    assert not list((tmp_path / "f").iterdir())
    whole = Mean()
    made = cached_features(episodes, whole, whole, tmp_path / "f", "mean", CPU, False)
    assert whole.seen == 150 and np.all(made[-1] > 0)


def test_two_runs_at_a_time_do_not_disturb_each_other(store, tmp_path, monkeypatch):
    episodes = load_episodes([store], tmp_path / "frames", progress=False)
    one, two, made = Mean(), Mean(), []

    def interrupted(images):
        if one.seen == 64:  # the other begins, and ends, in the middle of this one
            with monkeypatch.context() as patch:
                patch.setattr("os.getpid", lambda: -1)
                made.append(cached_features(episodes, two, two, tmp_path / "f", "m", CPU, False))
        return one(images)

    made.append(cached_features(episodes, one, interrupted, tmp_path / "f", "m", CPU, False))
    assert two.seen == 150 and np.array_equal(made[0], made[1]) and (made[1] > 0).all()


def test_a_damaged_file_is_named(store, tmp_path):
    episodes = load_episodes([store], tmp_path / "frames", progress=False)

    def features():
        return cached_features(episodes, Mean(), Mean(), tmp_path / "f", "mean", CPU, False)

    features()
    (path,) = (tmp_path / "f").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=f"{path.name} is damaged .* delete it"):
        features()


def test_a_world_model_trains_on_them(store, tmp_path):
    """The encoder sees no picture of a batch, and a second run none at all."""
    seen = []
    for name in ("one", "two"):
        settings = config(
            store, tmp_path / f"{name}.safetensors", steps=(1, 2, 2), features=tmp_path / "f"
        )
        trainer = Trainer(settings)
        count = [0]
        trainer.model.encoder.register_forward_hook(
            lambda module, inputs, output, count=count: count.__setitem__(0, count[0] + len(output))
        )
        trainer.validate = lambda predict: {}
        trainer.run()
        seen.append(count[0])
    images = settings.images
    assert seen[0] == images + 150, "the first stage's batch, and every frame once"
    assert seen[1] == images
    assert len(list((tmp_path / "f").glob("*.npy"))) == 1
