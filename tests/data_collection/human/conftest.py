"""Somebody at a bare table, which costs less than a kitchen."""

from xml.etree import ElementTree

import pytest

from dexbench.data_collection.human.film import PersonFilm
from dexbench.data_collection.human.session import compose
from dexbench.utils.seeding import rng

TABLE = """<mujoco><visual><map znear="0.01"/></visual><asset/><worldbody>
<light directional="true" dir="0.2 0.4 -1" castshadow="false"/>
<geom type="box" pos="0.1 -0.3 0.87" size="2 0.35 0.05" rgba="0.5 0.6 0.7 1" group="1"/>
</worldbody></mujoco>"""
OBJECTS = ["orange", "bottled_water", "butter"]


@pytest.fixture(scope="session")
def session():
    return compose(ElementTree.fromstring(TABLE), "table", OBJECTS, rng("test", "human"))


@pytest.fixture(scope="session")
def film(session):
    film = PersonFilm(session)
    yield film
    film.close()
