import dataclasses

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.world_model import DexWMModel
from dexbench.bench.speed.planner import PlannerSpeedConfig, main, measure
from dexbench.bench.speed.roofline import count_flops, least_bytes
from dexbench.bench.speed.workload import Workload, configuration, plans
from dexbench.utils.errors import UserError

SMALL = ModelConfig(
    image_size=(28, 56),
    grid=(2, 4),
    latent_dim=16,
    encoder_width=8,
    encoder_blocks=1,
    head_blocks=1,
    predictor_dim=24,
    predictor_blocks=2,
)


def work(config, frames, horizon, count=3):
    """A model none of whose layers is zero, the same picture in all frames, random actions."""
    torch.manual_seed(0)
    model = DexWMModel(config).eval().requires_grad_(False)
    for param in model.predictor.parameters():
        torch.nn.init.normal_(param, std=0.2)
    picture = torch.randint(0, 255, (1, *config.image_size, 3), dtype=torch.uint8)
    return Workload(model, picture.expand(frames, -1, -1, -1), torch.randn(count, horizon, 132))


@torch.inference_mode()
@pytest.mark.parametrize("cdit", ["compact", "paper"])
@pytest.mark.parametrize(("frames", "horizon"), [(1, 3), (6, 3), (8, 1)])
def test_plain_computation_predicts_the_same(cdit, frames, horizon):
    load = work(dataclasses.replace(SMALL, cdit=cdit), frames, horizon)
    # In double precision: how much single rounds differs between processors.
    load = Workload(load.model.double(), load.pictures, load.actions.double())
    ours, plain = load.evaluate(load.prepare()), load.plain()
    assert ours.shape == plain.shape == (3, horizon, SMALL.tokens, SMALL.latent_dim)
    assert torch.allclose(ours, plain, rtol=0, atol=1e-9)
    assert (ours[0] - ours[1]).abs().max() > 1e-2, "candidates must differ for that to say much"


@torch.inference_mode()
def test_plain_computation_does_more():
    load = work(SMALL, 6, 2)
    prepared = load.prepare()
    with FlopCounterMode(display=False) as ours:
        load.evaluate(prepared)
    with FlopCounterMode(display=False) as plain:
        load.plain()
    assert plain.get_total_flops() > 3 * ours.get_total_flops()


def test_operations_are_counted_attention_among_them():
    config = dataclasses.replace(SMALL, head_blocks=0, predictor_blocks=1)
    dim, tokens, frames, count = 24, config.tokens, 5, 7
    linear = {
        "embed": 16 * dim,
        "qkv": 3 * dim * dim,
        "self_out": dim * dim,
        "query": dim * dim,
        "cross_out": dim * dim,
        "mlp": 2 * 2 * dim * dim,
        "out": dim * 16,
        "head": 16 * (17 * 49 + 17),
    }
    each = sum(linear.values()) + 2 * dim * (tokens + frames * tokens)
    # Once a candidate: the action's MLP and the two modulations. Soft-argmax: grid moments.
    action = 132 * dim + dim * dim + 9 * dim * dim + 2 * dim * dim
    moments = tokens * 17 * 49 * 3
    # All candidates start from the same tokens, whose embedding is not repeated: expand is free
    # but matrix products of expanded tokens are not.
    expected = 2 * count * (tokens * each + action + moments)
    assert count_flops(config, frames, 1, count) == pytest.approx(expected, rel=0.02)


def test_least_bytes_are_the_weights_for_few_candidates():
    model = DexWMModel(SMALL)
    weights = sum(p.numel() for m in (model.predictor, model.head) for p in m.parameters())
    assert 4 * weights < least_bytes(model, 1, 1, 1) < 4 * weights + 20_000
    assert least_bytes(model, 1, 3, 1) > 3 * 4 * weights


def test_a_trial_has_three_plans_and_the_padded_history_ends_with_eight_frames():
    assert [frames for padded, frames, _ in plans() if not padded] == [1, 2, 3]
    assert all(frames + horizon - 1 == 8 for padded, frames, horizon in plans() if padded)


def test_the_scaled_size_is_of_the_papers_form():
    scaled = configuration("scaled")
    assert scaled.cdit == scaled.head == "paper"
    large = configuration("XL")
    for name in ("tokens", "latent_dim", "predictor_dim", "predictor_blocks", "predictor_heads"):
        assert getattr(large, name) == 4 * getattr(scaled, name)
    with pytest.raises(UserError, match="choose one of compact, scaled, S, B, L, XL"):
        configuration("XXL")


def test_ours_runs_compiled_and_plain_computation_does_not(monkeypatch):
    """With a backend that counts: the real one takes minutes on a CPU."""
    runs, during = [], {"ours": 0, "plain": 0}

    def counting(graph, inputs):
        return lambda *args: runs.append(1) or graph(*args)

    def compile_blocks(model):
        model.predictor.blocks[0].compile(backend=counting)

    def watched(name, function):
        def call(*args):
            before = len(runs)
            result = function(*args)
            during[name] += len(runs) - before
            return result

        return call

    monkeypatch.setattr(DexWMModel, "compile_blocks", compile_blocks)
    monkeypatch.setattr(Workload, "evaluate", watched("ours", Workload.evaluate))
    monkeypatch.setattr(Workload, "plain", watched("plain", Workload.plain))
    monkeypatch.setattr("dexbench.bench.speed.planner.configuration", lambda size: SMALL)
    measure(
        PlannerSpeedConfig(
            samples=2, iterations=1, repeats=1, compile=True, dtype="float32", threads=1
        )
    )
    assert during["ours"] >= 12 and during["plain"] == 0


def test_measured_plans_hold_together(monkeypatch):
    monkeypatch.setattr("dexbench.bench.speed.planner.configuration", lambda size: SMALL)
    config = PlannerSpeedConfig(samples=2, iterations=3, repeats=1, threads=1)
    speeds, (rate, bandwidth) = measure(config)
    assert len(speeds) == 6 and rate > 0 and bandwidth > 0
    for speed in speeds:
        assert speed.plan == pytest.approx(speed.prepare + 3 * speed.tile)
        assert speed.ratio > 0
        assert speed.floor == max(speed.flops / rate, speed.moved / bandwidth) > 0
    with pytest.raises(UserError, match="--samples is 0, expected at least 1"):
        measure(PlannerSpeedConfig(samples=0))


def test_the_command_prints_a_row_a_plan_and_what_a_trial_takes(monkeypatch, capsys):
    monkeypatch.setattr("dexbench.bench.speed.planner.configuration", lambda size: SMALL)
    main(PlannerSpeedConfig(samples=2, iterations=1, repeats=1, threads=1, plain=False))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["history", "frames"]
    plans_of = {start: sum(line.startswith(start) for line in lines) for start in ("padded", "as")}
    assert plans_of == {"padded": 3, "as": 3}
    assert sum(line.startswith("a trial's three plans") for line in lines) == 2
    assert "a matmul:" in lines[-1] and "GB/s" in lines[-1]
