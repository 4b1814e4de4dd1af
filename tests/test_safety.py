"""Files that people fetch from each other hold numbers and text: nothing in them is ever run."""

import ast
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import dexbench
from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.diffusion_policy.checkpoint import load_policy
from dexbench.agents.learning.weights import read_tensors
from dexbench.bench.verify.resimulation import read_actions
from dexbench.envs.suite import SUITES, Suite
from dexbench.utils.errors import UserError

PACKAGE = Path(dexbench.__file__).parent
FORBIDDEN = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "eval", "exec"}


class Payload:
    """Writes a file where it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path):
    """The file that the payload would leave; it does when it is let run."""
    mark = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()
    mark.unlink()
    yield mark
    assert not mark.exists()


@pytest.mark.parametrize("load", [load_model, load_policy, read_tensors])
@pytest.mark.parametrize("write", [torch.save, lambda payload, path: path.write_bytes(payload)])
def test_weights_that_are_a_pickle_are_refused(load, write, mark, tmp_path):
    path = tmp_path / "weights.safetensors"
    payload = {"model": Payload(mark)}
    write(payload if write is torch.save else pickle.dumps(payload), path)
    with pytest.raises(UserError, match="damaged or no safetensors file"):
        load(path)


def test_a_trial_with_an_object_in_it_is_refused(mark, tmp_path):
    suite = tmp_path / "mine"
    shutil.copytree(SUITES / "v1", suite)
    path = suite / "reach" / "000.npz"
    with np.load(path) as file:
        arrays = dict(file)
    arrays["start_state"] = np.array([Payload(mark)], object)
    np.savez_compressed(path, **arrays)
    with pytest.raises(UserError, match=r"reach.000\.npz"):
        Suite(suite).trial("reach", 0)


def test_recorded_actions_with_an_object_in_them_are_refused(mark, tmp_path):
    path = tmp_path / "000.npz"
    np.savez(path, actions=np.array([Payload(mark)], object))
    with pytest.raises(UserError, match="no actions can be read"):
        read_actions(path)


def calls_and_imports(tree: ast.AST):
    """Names that a module imports or calls, and keywords that it passes as true."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            # Only tensors are read so.
            if keywords.get("weights_only") != "True":
                yield ast.unparse(node.func)
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
                    yield f"{keyword.arg}=True"


def test_nothing_in_the_package_can_run_what_it_reads():
    forbidden = FORBIDDEN | {
        "torch.load",
        "yaml.load",
        "allow_pickle=True",
        "shell=True",
        "trust_remote_code=True",
    }
    sources = [
        p
        for p in PACKAGE.rglob("*.py")
        if p.relative_to(PACKAGE).parts[0] not in ("tests", ".venv", "build")
    ]
    assert len(sources) > 80
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in sources
        for name in calls_and_imports(ast.parse(path.read_text()))
        if name in forbidden
    }
    assert not found
