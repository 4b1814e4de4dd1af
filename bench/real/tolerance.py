"""``dexbench real tolerance``: how late and how badly calibrated a robot may be.

It plays trials of the simulated robot with one flaw at a time, and draws success against each.
Given again, the command plays only the trials that are missing.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dexbench.bench.ledger.real import RealEntry
from dexbench.bench.scores.real import real_table, score_real
from dexbench.envs.real.calibration import Calibration
from dexbench.envs.real.limits import Limits
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.files import write_atomic

from .run import RealRunConfig, run

SIZE = (3.4, 2.6)
"""Inches of a panel."""
FLAWS = {"latency": "latency [s]", "camera_shift": "camera off its calibration [m]"}
"""Arguments of the driver that are tried, and their axes' labels."""


@dataclass(frozen=True)
class ToleranceConfig:
    """Scores an agent on a simulated robot against latency and calibration error."""

    agent: str = "dexwm"
    """As for `dexbench real run`."""
    agent_args: tuple[str, ...] = ()
    """Arguments of the agent's class as KEY=VALUE, recorded with every row."""
    name: str | None = None
    """The agent's name in ledgers, to keep variants apart; the flaw is appended to it."""
    latency: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4)
    """Delays of commands and of pictures in s."""
    camera_shift: tuple[float, ...] = (0.0, 0.01, 0.03, 0.06)
    """How far the camera is from where its calibration says, in m."""
    trials: int = 12
    """Trials of each."""
    driver: str = "stepped"
    """stepped, whose clock stands while nothing moves, or simulated, in real time."""
    limits: Limits = field(default_factory=lambda: Limits(answer=60.0))
    """What stops the robot. A stepped one may take as long for an answer as the machine does."""
    out: Path = Path("runs")
    """Folder of ledgers, as for `dexbench real run`; OUT/tolerance.png is the picture."""


def main(config: ToleranceConfig) -> None:
    """Play, print the table and draw the picture.

    Raises:
        UserError: As `run`, or a value is below 0.
    """
    for name in FLAWS:
        values = getattr(config, name)
        if not values:
            raise UserError(f"--{name.replace('_', '-')} is empty, expected values, 0 or more")
        at_least(0, **{name: min(values)})
    calibration = config.out / "camera.json"
    Calibration.nominal().save(calibration)
    agent = config.name or config.agent.replace(":", ".")
    panels: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for flaw in FLAWS:
        for value in sorted(set(getattr(config, flaw))):
            # A robot without a flaw is the same in all panels, and is played once.
            called = f"{flaw}-{value:g}" if value else "no-flaw"
            rows = run(
                RealRunConfig(
                    config.driver,
                    calibration,
                    config.agent,
                    trials=config.trials,
                    driver_args=(f"{flaw}={value!r}",) if value else (),
                    agent_args=config.agent_args,
                    limits=config.limits,
                    name=f"{agent}-{called}",
                    out=config.out,
                    yes=True,
                )
            )
            entry = RealEntry(config.driver, rows[0]["agent"], rows[0]["task"], rows)
            panels.setdefault(flaw, []).append((value, score_real([entry])[0]))
    lines = {line["agent"]: line for points in panels.values() for _, line in points}
    print(real_table(list(lines.values())))
    path = config.out / "tolerance.png"
    write_atomic(path, draw(panels))
    print(f"wrote {path}")


def draw(panels: Mapping[str, Sequence[tuple[float, Mapping[str, Any]]]]) -> bytes:
    """Draw success against each flaw, with 95% Wilson intervals.

    Args:
        panels: Of each of `FLAWS` the values, and what `score_real` says of them.

    Returns:
        A PNG. The same arguments give the same bytes.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    width, height = SIZE
    figure = Figure(figsize=(width * len(panels), height), dpi=130, layout="constrained")
    subplots = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axes, (flaw, points) in zip(subplots, panels.items(), strict=True):
        values = [value for value, _ in points]
        rates = [line["rate"] for _, line in points]
        below = [line["rate"] - line["ci_low"] for _, line in points]
        above = [line["ci_high"] - line["rate"] for _, line in points]
        axes.errorbar(values, rates, [below, above], marker="o", capsize=3, linewidth=1.2)
        axes.set(xlabel=FLAWS[flaw], xticks=values, ylim=(-0.04, 1.04))
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    subplots[0].set_ylabel("success, 95% interval")
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
