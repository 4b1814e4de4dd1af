"""``dexbench check``: whether a submission is what it says, a verdict a line.

No line of a submission is run: it is read as numbers and text, and its actions are simulated.
"""

import math
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tyro.conf import Positional

from dexbench.bench.ledger.rows import Row
from dexbench.bench.verify.resimulation import FAR, Finding
from dexbench.bench.verify.verify import VerifyConfig, plan, simulate_again
from dexbench.utils.errors import UserError, at_least
from dexbench.utils.seeding import rng

from . import rules, schema
from .copies import copies
from .rules import name_of
from .submission import Play, Submission, decode, read, unpack
from .verdict import Verdict, well

Simulate = Callable[[Sequence[Play], int, float | None], list[tuple[Row, Finding]]]
"""As `simulate`."""
CHAOTIC = 0.25
"""Where most rows come out exact, the processors are of one family, and a distance that is further
off than `FAR` was written by hand. Else this holds of a row's mean difference, but for this share
of the rows, in which contact may have amplified last digits. It did in 3 of 104 plays, where the
state was off in its 12th or 14th digit at every step."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a submission is checked."""

    against: Path = Path("results")
    """Folder of ledgers whose actions and names must not be submitted by others."""
    minutes: float | None = None
    """Simulate rows in random order for so long, at least one; all rows by default."""
    seed: int | None = None
    """Of that order; drawn anew by default, so that who submits cannot know it."""
    workers: int = 2
    """Processes that simulate at the same time."""


@dataclass(frozen=True, kw_only=True)
class CheckConfig(Options):
    """Checks a submission, and says a verdict a line; exits with code 1 if it is refused.

    Its form and hashes, whether every trial is there once, whether each row follows from its own
    distances, whether its name is free, whether its actions are the expert's or another agent's,
    and what comes of them when they are simulated again.
    """

    file: Positional[Path]
    """What `dexbench submit` wrote."""
    accept: Path | None = None
    """If nothing is refused, write ledgers and verdicts to ACCEPT/SUITE/AGENT, as in
    results/submissions. All rows are simulated then."""


def simulate(
    plays: Sequence[Play], workers: int, minutes: float | None
) -> list[tuple[Row, Finding]]:
    """Simulate plays again, as `simulate_again` does, from ledgers in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="dexbench-check-") as folder:
        unpack(plays, Path(folder))
        jobs = {name_of(job.row): job for job in plan(VerifyConfig(Path(folder)))}
        results = simulate_again([jobs[name_of(row)] for row, _ in plays], workers, minutes)
    return [(job.row, finding) for job, finding in results]


class Examined(NamedTuple):
    """What came of a file."""

    submission: Submission | None
    """None where the file cannot be read."""
    verdicts: list[Verdict]


def examine(data: bytes, options: Options, simulate: Simulate = simulate) -> Examined:
    """Check a submission's bytes, the quick checks first; it is simulated if they find nothing.

    Args:
        data: The file.
        options: How.
        simulate: Simulates rows again.

    Raises:
        UserError: An option is wrong, or a ledger to compare with is damaged.
    """
    at_least(1, workers=options.workers)
    at_least(0, minutes=options.minutes)
    try:
        submission = decode(data)
    except UserError as error:
        return Examined(None, [Verdict("schema", "", [str(error)])])
    first, rows = submission.plays[0].row, [row for row, _ in submission.plays]
    form = Verdict("schema", "", schema.faults(rows))
    if form.faults:
        return Examined(submission, [form])
    verdicts = [Verdict("schema", f"{len(rows)} rows of {first['agent']} on {first['suite']}")]
    for rule in (rules.hashes, rules.complete, rules.outcomes):
        verdicts.append(rule(submission))
    verdicts.append(rules.name(submission, options.against))
    if well(verdicts):
        verdicts.append(copies(submission, options.against))
    if well(verdicts):
        verdicts.append(simulation(submission, options, simulate))
    return Examined(submission, verdicts)


def simulation(submission: Submission, options: Options, simulate: Simulate) -> Verdict:
    """Simulate rows again, in an order that who submits cannot know.

    Args:
        submission: All else must be right.
        options: How many, and in which order.
        simulate: Simulates rows again.
    """
    plays = submission.plays
    # No seed of ours: it must not be known before the file is there.
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    order = rng("check a submission", seed).permutation(len(plays))
    results = simulate([plays[i] for i in order], options.workers, options.minutes)
    exact = sum(finding.verdict == "exact" for _, finding in results)
    faults = [f"{name_of(row)}: {reason}" for row, finding in results for reason in finding.reasons]
    faults += _written(results, exact)
    largest = max(finding.apart for _, finding in results)
    found = f"{len(results)} of {len(plays)} rows simulated again, {exact} exact, seed {seed}"
    found += "" if exact == len(results) else f"; distances up to {largest:.6f} m apart"
    found += "" if len(results) == len(plays) else f"; {_left_open(len(results), len(plays))}"
    return Verdict("simulation", found, faults)


def _written(results: list[tuple[Row, Finding]], exact: int) -> Iterator[str]:
    """Say which distances no processor can have come to, though all flags are right."""
    equal = [(row, finding) for row, finding in results if finding.verdict == "equal"]
    if 2 * exact > len(results):
        for row, finding in equal:
            if finding.apart > FAR:
                yield (
                    f"{name_of(row)}: a distance is {finding.apart:.6f} m from the one found, "
                    f"where {exact} of {len(results)} rows are exact"
                )
        return
    far = [(row, finding) for row, finding in equal if finding.typical > FAR]
    if len(far) > CHAOTIC * len(results):
        for row, finding in far:
            yield (
                f"{name_of(row)}: its distances are on average {finding.typical:.6f} m from those "
                f"found, as in {len(far)} of {len(results)} rows"
            )


def _left_open(sampled: int, rows: int) -> str:
    """Say how many forged rows such a sample would have let pass."""
    forged = next(n for n in range(1, rows + 1) if _passes(n, sampled, rows) < 0.05)
    return f"{forged} forged rows or more pass such a sample in fewer than 5 of 100 cases"


def _passes(forged: int, sampled: int, rows: int) -> float:
    """Return the probability that a random sample of rows holds none of the forged ones."""
    return math.comb(rows - forged, sampled) / math.comb(rows, sampled)


def main(config: CheckConfig, simulate: Simulate = simulate) -> None:
    """Print the verdicts, and accept the submission if that is asked for.

    Args:
        config: What the user asked for.
        simulate: Simulates rows again.

    Raises:
        SystemExit: With code 1 if the file is refused.
        UserError: There is no such file, or as `examine` and `accept`.
    """
    from .accept import accept

    if config.accept is not None and config.minutes is not None:
        raise UserError("--accept wants all rows simulated: leave --minutes out")
    data = read(config.file)
    submission, verdicts = examine(data, config, simulate)
    for verdict in verdicts:
        print("\n".join(verdict.lines()))
    if submission is None or not well(verdicts):
        raise SystemExit(1)
    if config.accept is not None:
        print(f"wrote {accept(submission, data, verdicts, config.accept, config.against)}")
