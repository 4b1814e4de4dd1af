"""Who works in a session, and where: a kitchen with a person and objects."""

from dataclasses import dataclass
from xml.etree import ElementTree

import mujoco
import numpy as np

from dexbench.data_collection.scripted.kitchen import draw_kitchen
from dexbench.data_collection.scripted.objects import Solid, add_thing, draw_thing

from .person_mjcf import Look, add_person
from .skeleton import Person

_TONES = (
    (241, 204, 180), (228, 184, 152), (214, 164, 130), (198, 146, 112), (174, 122, 88),
    (146, 98, 68), (116, 76, 54), (88, 58, 44),
)  # fmt: skip
_CLOTHS = (
    (60, 78, 120), (150, 40, 44), (52, 96, 70), (46, 46, 52), (200, 196, 188), (120, 120, 128),
    (176, 140, 80), (92, 60, 110), (210, 170, 150), (70, 130, 150),
)  # fmt: skip


@dataclass(frozen=True)
class Session:
    """A compiled scene in which somebody works."""

    model: mujoco.MjModel
    """Kitchen, person and objects, all of which stand still or are mocap bodies."""
    person: Person
    """Who works there."""
    solids: list[Solid]
    """Shapes of the objects, whose bodies are ``object_<i>``."""
    categories: list[str]
    """What the objects are."""
    place: str
    """The kitchen's layout and style."""


def draw_person(rng: np.random.Generator) -> tuple[Person, Look]:
    """Draw somebody who stands at the counter."""
    stature = float(np.clip(rng.normal(1.69, 0.09), 1.52, 1.92))
    person = Person(
        stature=stature,
        hand=float(np.clip(stature / 1.72 * rng.normal(1, 0.035), 0.84, 1.15)),
        girth=float(np.clip(rng.normal(1.0, 0.06), 0.87, 1.14)),
        stand=(float(rng.uniform(0.08, 0.24)), float(rng.uniform(-0.95, -0.86))),
        lean=float(rng.uniform(0.16, 0.34)),
    )
    tone = np.array(_TONES[int(rng.integers(len(_TONES)))]) * rng.uniform(0.94, 1.05, 3)
    cloth = np.array(_CLOTHS[int(rng.integers(len(_CLOTHS)))]) * rng.uniform(0.85, 1.15, 3)
    cuff = float(rng.choice([rng.uniform(0.80, 0.93), rng.uniform(0.3, 0.6), -0.45]))
    return person, Look(tuple(tone), tuple(np.clip(cloth, 0, 255)), cuff, int(rng.integers(1000)))


def open_session(rng: np.random.Generator, categories: list[str]) -> Session:
    """Draw a kitchen of training, and somebody with objects in it.

    Args:
        rng: The stream to draw from.
        categories: What the objects are.
    """
    root, place = draw_kitchen(rng)
    return compose(root, place, categories, rng)


def compose(
    root: ElementTree.Element, place: str, categories: list[str], rng: np.random.Generator
) -> Session:
    """Draw a person and objects, add them to a scene and compile it.

    Args:
        root: MJCF of the scene, which is changed.
        place: What the scene is called.
        categories: What the objects are.
        rng: The stream to draw from.
    """
    person, look = draw_person(rng)
    files = add_person(root, person, look)
    for number, category in enumerate(categories):
        files |= add_thing(root, f"object_{number}", draw_thing(rng, category))
    text = ElementTree.tostring(root, encoding="unicode")
    model = mujoco.MjModel.from_xml_string(text, assets=files)
    solids = [Solid(model, f"object_{number}", rng) for number in range(len(categories))]
    return Session(model, person, solids, categories, place)
