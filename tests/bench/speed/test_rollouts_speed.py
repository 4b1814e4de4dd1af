import pytest

from dexbench.bench.speed.rollouts import RolloutsSpeed, RolloutsSpeedConfig, main, measure
from dexbench.utils.errors import UserError


def test_the_ratio_is_of_medians():
    result = RolloutsSpeed(2, (3.0, 4.0, 1.0), (2.0, 1.6, 1.0), True)
    assert result.ratio == pytest.approx(3.0 / 1.6)
    lines = result.text().splitlines()
    assert lines[0].endswith("1.60 rollouts/s") and lines[1].split()[:2] == ["2", "threads"]
    assert "1.88 (turns: 1.00 to 2.50, 3 of them)" in lines[2]
    assert "the same, bit for bit" in lines[3]
    assert "DIFFERENT" in RolloutsSpeed(2, (1.0,), (1.0,), False).text()


def test_numbers_below_one_are_refused():
    with pytest.raises(UserError, match="--rollouts is 0, expected at least 1"):
        measure(RolloutsSpeedConfig(rollouts=0))


def test_all_cores_come_to_what_one_process_comes_to(monkeypatch, capsys):
    monkeypatch.setattr("dexbench.envs.rollouts.usable_cores", lambda: 2)
    main(RolloutsSpeedConfig(repeats=1, rollouts=2))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[1].split()[0] == "2"
    assert lines[3] == "end states   the same, bit for bit"
    assert all(float(line.split()[2]) > 0 for line in lines[:2])
