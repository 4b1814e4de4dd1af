from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from dexbench.data_collection.gripper.arm import OPEN
from dexbench.data_collection.gripper.stage import GripperStage
from dexbench.data_collection.scripted.counter import lay_out
from dexbench.data_collection.scripted.objects import Solid, add_thing, draw_thing
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT
from dexbench.utils.seeding import rng


@pytest.fixture(scope="module")
def solids():
    root = ElementTree.fromstring("<mujoco><asset/><worldbody/></mujoco>")
    files = {}
    for number, category in enumerate(("butter", "bottled_water", "lemon")):
        thing = draw_thing(rng("test", category), category)
        files |= add_thing(root, f"object_{number}", thing)
    text = ElementTree.tostring(root, encoding="unicode")
    model = mujoco.MjModel.from_xml_string(text, assets=files)
    return [Solid(model, f"object_{number}", rng("test", number)) for number in range(3)]


@pytest.mark.parametrize("seed", range(4))
def test_objects_go_with_the_gripper_or_lie_still(solids, seed):
    stream, stand = rng("test", "gripper", seed), (0.15, -0.9)
    stage = GripperStage(stand, solids, lay_out(stand, solids, stream), stream)
    stage.run()
    times, tool, opening = stage.play()
    places = stage.objects(times, tool)
    assert opening.min() >= 0 and opening.max() <= OPEN + 1e-9
    assert np.ptp(opening) > 0.005
    assert tool[:, 2, 3].min() > COUNTER_HEIGHT + 0.005
    for number in range(len(solids)):
        held = np.zeros(len(times), bool)
        for hold in stage.holds:
            if hold.thing == number:
                held |= (times > hold.start - 0.15) & (times < hold.end + 0.15)
                near = int(np.searchsorted(times, (hold.start + hold.end) / 2))
                gap = solids[number].distance(
                    np.linalg.inv(places[near, number])[:3] @ np.append(tool[near, :3, 3], 1)
                )
                assert gap < 0.03
        steps = np.linalg.norm(np.diff(places[:, number, :3, 3], axis=0), axis=1)
        assert steps[~(held[1:] | held[:-1])].max(initial=0) == 0
        assert steps.max() < 0.12
