import dataclasses

import pytest
from support.recorded import write_egodex

from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.bench.speed import data
from dexbench.bench.speed.data import DataSpeed, DataSpeedConfig, _reader, main, measure
from dexbench.data_collection.readers.clip import Clip
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
    max_frames=9,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("speed") / "data"
    for number in range(2):
        write_egodex(root, f"part1/fold/{number}", frames=12, seed=number)
    return root


def test_the_ratio_is_of_turns():
    lines = DataSpeed(2, (10.0, 30.0), (40.0, 90.0), (20.0, 30.0)).text().splitlines()
    assert lines[0].split()[-2:] == ["20", "frames/s"] and lines[1].split()[1] == "2"
    assert lines[2].split()[-2:] == ["25", "frames/s"]
    assert "2.50 (turns: 2.00 to 3.00, 2 of them)" in lines[3]


def test_every_turn_reads_other_windows_at_the_models_size(clips, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Clip, "sample", lambda clip, frames, size: seen.append((clip.name, *frames, size))
    )
    read = _reader(clips, 3, (28, 56))
    read(0, 1)
    read(1, 2)
    assert len(seen) == len(set(seen)) == 6
    assert all(len(one) == 1 + data.FRAMES + 1 and one[-1] == (28, 56) for one in seen)


def test_the_command_prints_what_it_measured(clips, monkeypatch, capsys):
    monkeypatch.setattr(data, "configuration", lambda size: SMALL)
    main(DataSpeedConfig(clips, windows=2, repeats=1, dtype="float32", threads=2))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    rates = [float(line.split()[-2]) for line in lines[:3]]
    assert min(rates) > 0


def test_numbers_out_of_range_and_clips_too_short(clips, tmp_path):
    config = DataSpeedConfig(clips)
    with pytest.raises(UserError, match="--windows is 0"):
        measure(dataclasses.replace(config, windows=0))
    with pytest.raises(UserError, match="--threads is -1"):
        measure(dataclasses.replace(config, threads=-1))
    write_egodex(tmp_path / "short", frames=4)
    with pytest.raises(UserError, match="no clip of .* has the 9 frames"):
        measure(dataclasses.replace(config, data=tmp_path / "short"))
