import re
from typing import Any

from dexbench.agents.registry import AGENTS
from dexbench.bench.listing import ListConfig, listing, main
from dexbench.envs.suite import SUITES


def test_everything_that_can_be_run_is_listed(capsys: Any) -> None:
    main(ListConfig())
    text = capsys.readouterr().out
    assert text == listing() + "\n"
    for name in ("reach", "grasp", "place", "module:name", *AGENTS):
        assert re.search(rf"^  {name}\*? ", text, re.MULTILINE)
    starred = {name for name, spec in AGENTS.items() if spec.privileged}
    assert set(re.findall(r"^  (\S+)\* ", text, re.MULTILINE)) == starred
    for path in SUITES.glob("*/suite.json"):
        assert f"  {path.parent.name} " in text
