"""Short trainings of small models."""

import dataclasses
import json

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.training.config import TrainConfig

SMALL = ModelConfig(
    predictor_dim=48, predictor_blocks=2, encoder_blocks=1, head_blocks=1, encoder_width=16
)


def config(store, out, **changes):
    base = TrainConfig(
        data=(store,),
        out=out,
        steps=(8, 5, 5),
        images=6,
        clips=2,
        threads=1,
        progress=False,
        dtype="float32",
        model=SMALL,
        checkpoint_every=3,
        validation_windows=2,
    )
    return dataclasses.replace(base, **changes)


def losses(out):
    rows = (out.with_name(out.name + ".work") / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(row) for row in rows]
    return [(r["stage"], r["step"], r["loss"]) for r in rows if "loss" in r]


def strict_rows(out):
    """What a run logged, read as JSON proper, which has no NaN."""

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    rows = (out.with_name(out.name + ".work") / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row, parse_constant=refuse) for row in rows]
