"""``dexbench`` on the fake environment, as a process that tests can kill."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from dexbench.bench import cli
    from dexbench.bench.run import runner
    from support import fake

    runner.Backend = lambda: fake.BACKEND
    cli.main(sys.argv[1:])
