import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from dexbench.agents.learning.run_folder import RunFolder
from dexbench.agents.learning.weights import WeightsConfig, load_weights, read_tensors, save_weights
from dexbench.utils.errors import UserError


@dataclass(frozen=True)
class Sizes(WeightsConfig):
    kind: ClassVar[str] = "toy"
    width: int = 2
    grid: tuple[int, int] = (3, 4)


def folder(path, seed=0):
    torch.manual_seed(seed)
    modules = {"net": nn.Linear(2, 1), "net_two": nn.Linear(3, 1)}
    return RunFolder(path, modules, {"seed": 0, "rates": (1, 2)}, "data or seed")


def test_a_run_is_continued_from_its_checkpoint(tmp_path):
    first, second = folder(tmp_path, 1), folder(tmp_path, 2)
    first.log({"step": 1})
    first.save({"step": 1}, {"master/a": torch.ones(1)})
    first.log({"step": 2})  # after the checkpoint: it will be logged again
    state, tensors = second.resume()
    assert state == {"step": 1} and torch.equal(tensors["master/a"], torch.ones(1))
    assert first.metrics.read_text() == '{"step": 1}\n'
    for name, module in first.modules.items():
        assert torch.equal(module.weight, second.modules[name].weight)


def test_the_checkpoints_form_is_that_of_version_0_1(tmp_path):
    run = folder(tmp_path)
    run.log({"step": 1})
    run.save({"step": 1}, {"master/a": torch.ones(1)})
    tensors, metadata = read_tensors(tmp_path / "checkpoint.safetensors")
    assert set(tensors) == {"net/weight", "net/bias", "net_two/weight", "net_two/bias", "master/a"}
    assert metadata == {
        "state": '{"step": 1, "metrics_bytes": 12}',
        "identity": '{"rates": [1, 2], "seed": 0}',
    }


def test_without_a_checkpoint_a_run_starts_afresh(tmp_path):
    run = folder(tmp_path)
    run.log({"step": 1})
    assert run.resume() is None and not run.metrics.exists()


def test_another_identity_is_refused_and_nothing_touched(tmp_path):
    run = folder(tmp_path)
    run.log({"step": 1})
    run.save({}, {})
    run.log({"step": 2})
    with pytest.raises(UserError, match="belongs to a run with other data or seed; give another"):
        RunFolder(tmp_path, {}, {"seed": 1}, "data or seed").resume()
    assert len(run.metrics.read_text().splitlines()) == 2


def test_a_checkpoint_whose_metrics_are_gone_says_so(tmp_path):
    run = folder(tmp_path)
    run.log({"step": 1})
    run.save({"step": 1}, {})
    run.metrics.write_text("{")
    with pytest.raises(UserError, match=r"metrics.jsonl lacks what was logged before checkpoint"):
        run.resume()
    run.metrics.unlink()
    with pytest.raises(UserError, match="restore it, or delete"):
        run.resume()


def test_a_run_of_no_steps_leaves_a_checkpoint(tmp_path):
    run = folder(tmp_path)
    run.save({"step": 0}, {})
    state, _ = folder(tmp_path).resume()
    assert state == {"step": 0}


def test_a_configuration_comes_back_equal():
    sizes = Sizes(5, (6, 7))
    assert sizes.to_json() == '{"grid": [6, 7], "width": 5}'
    assert Sizes.from_json(sizes.to_json()) == sizes
    assert Sizes.from_json("{}") == Sizes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"a toy configuration must be a JSON object, got '\[1\]'"),
        ('{"wide": 1}', r"unknown toy settings \['wide'\]; known: \['grid', 'width'\]"),
    ],
)
def test_bad_configurations_are_named(text, message):
    with pytest.raises(ValueError, match=message):
        Sizes.from_json(text)


def test_weights_are_halved_but_for_the_exact_ones(tmp_path):
    path, third = tmp_path / "w.safetensors", torch.tensor([[1 / 3, 1 / 3]])
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": third, "bias": third[0, :1]})
    notes = {"out": path, "steps": (1, 2)}
    digest = save_weights(path, model, {"format": "toy-1"}, notes, exact=("bias",))
    tensors, metadata = read_tensors(path)
    assert tensors["weight"].dtype == torch.float16 and tensors["bias"].dtype == torch.float32
    assert json.loads(metadata["notes"]) == {"out": path.name, "steps": [1, 2]}, "no folders"
    loaded, again = load_weights(path, lambda _: nn.Linear(2, 1), "toy-1", "")
    assert again == digest and torch.equal(loaded.bias, third[0, :1])
    assert torch.equal(loaded.weight, third.half().float())
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    with pytest.raises(UserError, match="holds format 'toy-1', a toy has 'toy-2'"):
        load_weights(path, lambda _: nn.Linear(2, 1), "toy-2", "a toy has 'toy-2'")
    with pytest.raises(TypeError):
        save_weights(path, model, {}, {"what": object()})
