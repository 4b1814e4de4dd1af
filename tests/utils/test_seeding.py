import ast
from pathlib import Path

import numpy as np
import pytest

import dexbench
from dexbench.utils.seeding import rng, seed_for

ROOT = Path(dexbench.__file__).parent
PACKAGES = ("agents", "bench", "data_collection", "envs", "utils")

# In-place initialisers of tensors, and torch's own draws.
IN_PLACE = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "trunc_normal_"}
TORCH = {
    "rand",
    "randn",
    "randint",
    "randperm",
    "rand_like",
    "randn_like",
    "randint_like",
    "normal",
    "bernoulli",
    "multinomial",
    "poisson",
    "manual_seed",
    "seed",
}
ALLOWED = {
    (
        "bench/run/worker.py",
        "import random",
    ),  # for users' agents, which may draw from global streams
    ("bench/run/worker.py", "np.random.seed"),
    (
        "agents/dexwm/training/networks.py",
        "torch.manual_seed",
    ),  # of the fork that fresh weights are drawn from
    ("agents/dexwm/readout/train.py", "torch.manual_seed"),  # the same
    ("agents/dexwm/decoding/train.py", "torch.manual_seed"),  # the same
    ("bench/submit/check.py", "import secrets"),  # of a seed that who submits must not know
    ("agents/diffusion_policy/train.py", "torch.manual_seed"),  # the same
}


def global_draws(source):
    """Draws from NumPy's, Python's or torch's global generator, or from one that keys do not name.

    Those in a module's ``__init__`` are its fresh weights, which training draws in a seeded fork.
    """
    tree = ast.parse(source)
    fresh = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {a.name}" for a in node.names if a.name in ("random", "secrets"))
        if isinstance(node, ast.ImportFrom) and node.module in ("random", "numpy.random"):
            yield f"from {node.module} import"
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
            continue
        name = ast.unparse(node.func)
        head, _, last = name.rpartition(".")
        seeded = any(word.arg == "generator" for word in node.keywords)
        torchs = head.split(".")[0] == "torch" and "(" not in head
        drawn = (torchs and last in TORCH) or last in IN_PLACE
        numpys = head in ("np.random", "numpy.random") and last not in ("Generator", "RandomState")
        if numpys or last == "default_rng" or (drawn and not seeded and id(node) not in fresh):
            yield name


def test_streams_are_named_by_their_keys():
    draws = rng("suite", "v1", "grasp", 7).random(5)
    assert np.array_equal(rng("suite", "v1", "grasp", 7).random(5), draws)
    for keys in (
        ("suite", "v1", "grasp", 8),
        ("suite", "v1", "grasp", "7"),
        ("suite", "v1", 7, "grasp"),
        ("suite", "v1", "grasp"),
        ("suite", "v1", "grasp", 7, 0),
        ("suite", "v0grasp", 7),
        ("train", "v1", "grasp", 7),
    ):
        assert not np.isin(rng(*keys).random(5), draws).any(), keys


def test_drawing_from_one_stream_leaves_others_alone():
    first = rng("a").random()
    stream = rng("b")
    stream.random(1000)
    np.random.seed(1)  # noqa: NPY002
    assert rng("a").random() == first


def test_streams_are_those_of_this_version():
    # Frozen trials, data sets and planners hang on these: they never change within a version.
    assert rng("pinned", 1).integers(0, 10**6, 4).tolist() == [184039, 323380, 586423, 613391]


def test_seeds_have_63_bits_and_differ():
    seeds = [seed_for("trial", i) for i in range(2000)]
    assert len(set(seeds)) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)
    share = np.array([[seed >> bit & 1 for bit in range(63)] for seed in seeds]).mean(axis=0)
    assert np.abs(share - 0.5).max() < 0.06, "every bit is as often 0 as 1"


@pytest.mark.parametrize(
    "line",
    [
        "np.random.rand(3)",
        "numpy.random.rand(3)",
        "import os, random",
        "x = torch.randn(2)",
        "from random import choice",
        "torch.randperm(5)",
        "x.normal_()",
        "default_rng(1)",
        "def forward(x): return x + torch.randn_like(x)",
        "np.random.default_rng(1)",
    ],
)
def test_global_draws_are_recognised(line):
    assert list(global_draws(line))


@pytest.mark.parametrize(
    "line",
    [
        "torch.randn(2, generator=g)",
        "rng('a').normal()",
        "np.random.Generator(bits)",
        "def __init__(self): self.position = torch.randn(3)",
        "self.np_random.integers(5)",
    ],
)
def test_draws_from_named_streams_are_none(line):
    assert not list(global_draws(line))


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_draws_from_a_global_generator(package):
    sources = [ROOT / "__init__.py", *(ROOT / package).rglob("*.py")]
    assert len(sources) > 3
    found = {
        (str(path.relative_to(ROOT)), draw)
        for path in sources
        if path.name != "seeding.py"
        for draw in global_draws(path.read_text())
    }
    assert found <= ALLOWED
