"""One scene of a set: drawn, played in by a strategy, and written."""

from typing import Any

from dexbench.data_collection.scripted.order import SessionOrder
from dexbench.data_collection.store.layouts import OTHERS
from dexbench.data_collection.store.store import EpisodeStore

from .config import CollectConfig, picture_size
from .stand_ins import stand_in

SCENE_DRAWS = 20
"""Scenes drawn for one place in a set before giving up."""


def record_scene(config: CollectConfig, index: int) -> list[dict[str, Any]]:
    """Draw scene ``index``, play the strategy in it, write its clips; return their rows."""
    from .strategies import CLIPS

    if config.strategy in OTHERS:
        order = SessionOrder(config.out, config.seed, index, picture_size(config), CLIPS)
        return stand_in(config.strategy)(order)
    from dexbench.envs.robocasa.build import build_scene
    from dexbench.envs.robocasa.recipe import NoRoom
    from dexbench.envs.simulation import Simulation
    from dexbench.envs.tasks import Rejected
    from dexbench.envs.tasks.draw import KITCHENS
    from dexbench.utils.seeding import rng

    from .strategies import STRATEGIES

    store = EpisodeStore(config.out)
    for attempt in range(SCENE_DRAWS):
        stream = rng("collect", config.strategy, config.seed, index, attempt)
        try:
            scene = build_scene(KITCHENS[config.kitchen](stream, "train"))
        except NoRoom:
            continue
        simulation = Simulation(scene.xml, scene.objects, picture_size(config))
        try:
            clips = STRATEGIES[config.strategy](simulation, scene, stream)
        except (Rejected, FloatingPointError):
            continue
        finally:
            simulation.close()
        return [
            store.write(index * CLIPS + clip, episode) | {"scene": index}
            for clip, episode in enumerate(clips)
        ]
    raise RuntimeError(f"no scene for place {index} of the set in {SCENE_DRAWS} draws")
