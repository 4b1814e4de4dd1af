"""``dexbench`` on the fake environment; as a script it is a process that tests can kill."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from dexbench.bench import cli
from dexbench.bench.run import runner
from support import fake


def main(config: runner.RunConfig) -> None:
    runner.main(config, fake.BACKEND)


COMMANDS = {**cli.COMMANDS, "run": ("support.run_fake:main", "play in the fake environment")}


if __name__ == "__main__":
    cli.main(sys.argv[1:], COMMANDS)
