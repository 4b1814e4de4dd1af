import numpy as np

from dexbench.data_collection.human.tasks import TASKS
from dexbench.data_collection.scripted.objects import FREE, draw_thing
from dexbench.envs.scenes.objects import CATEGORIES, INSTANCES
from dexbench.utils.seeding import rng


def test_objects_are_none_of_the_catalogues_and_of_no_category_kept_for_suites():
    assert set(FREE) == {name for name, category in CATEGORIES.items() if not category.held_out}
    for task in TASKS.values():
        assert set(task.categories or ()) <= set(FREE)
    known = {(i.category, i.scale) for i in INSTANCES.values()}
    for number in range(200):
        stream = rng("test", number)
        thing = draw_thing(stream, FREE[number % len(FREE)])
        assert (thing.category, thing.scale) not in known
        assert not any(np.allclose(thing.scale, scale, atol=1e-4) for name, scale in known
                       if name == thing.category)  # fmt: skip


def test_distances_are_signed_and_reach_to_the_surface(session):
    orange = session.solids[0]
    assert orange.distance(np.zeros((1, 3)) + (orange.low + orange.high) / 2) < -0.025
    top = np.array([0, 0, orange.high[2] + 0.05])
    assert abs(orange.distance(top[None])[0] - 0.05) < 0.006
