"""``dexbench`` on the fake environment, as a process that tests can kill."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import fake

    from dexbench.bench import cli, runner

    runner.Backend = lambda: fake.BACKEND
    cli.main(sys.argv[1:])
