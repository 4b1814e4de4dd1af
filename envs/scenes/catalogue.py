"""The categories of graspable objects: what they are made of, how heavy they are, how they differ.

Six use meshes that robosuite ships, with masses and sizes mended (a lemon there weighs 3 g); the
others are generated (:mod:`dexbench.envs.assets.household`).
"""

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Category:
    """One kind of object and how its six instances may look.

    Attributes:
        name: RoboCasa's name of the category where it has one.
        title: The plain word for it.
        footprint: Largest distance from the middle along x and y at scale 1, in m.
        mass: Lightest and heaviest instance, in kg.
        colours: RGB, 0..255, of each instance: of a generated skin's body; the plain colour; or the
            tint that a shipped texture is multiplied with.
        accents: Second colour of a generated skin, for each instance.
        mesh: File below robosuite's ``objects/meshes``; empty if the mesh is generated.
        texture: File below robosuite's ``textures``, or None: generated, or a plain colour.
        scale: Scale of the mesh in x, y and z at instance scale 1.
        hues: Rotation of a shipped texture's hue for each instance, in sixths of a turn.
        texrepeat: Repetitions of a shipped texture over its coordinates.
        shine: Specular and shininess of the material, 0..1.
        condim: Dimension of its contacts: 4 (no rolling friction) or 6.
        held_out: Whether training never shows any of its instances.
    """

    name: str
    title: str
    footprint: tuple[float, float]
    mass: tuple[float, float]
    colours: tuple[Colour, ...]
    accents: tuple[Colour, ...] = ()
    mesh: str = ""
    texture: str | None = None
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    hues: tuple[int, ...] = (0,) * 6
    texrepeat: tuple[float, float] = (1, 1)
    shine: tuple[float, float] = (0.3, 0.3)
    condim: int = 4
    held_out: bool = False


_PLAIN = (
    (255, 255, 255), (255, 236, 214), (226, 240, 255), (240, 255, 228), (255, 226, 226),
    (232, 232, 232),
)  # fmt: skip
_WHITE, _BLUE, _RED, _GREEN, _NAVY, _GOLD, _BLACK, _CREAM = (
    (240, 238, 232), (70, 110, 160), (176, 48, 40), (88, 130, 92), (38, 54, 92), (206, 160, 60),
    (46, 46, 50), (236, 224, 198),
)  # fmt: skip
_TEAL, _ROSE, _BROWN, _GREY, _ORANGE, _PURPLE = (
    (52, 128, 128), (206, 130, 130), (110, 76, 50), (150, 152, 154), (222, 126, 44), (108, 76, 128),
)  # fmt: skip

_SHIPPED = (
    Category(
        "bottled_drink", "bottle", (0.028, 0.030), (0.20, 0.30),
        ((38, 132, 48), (118, 66, 30), (30, 96, 140), (150, 150, 40), (120, 24, 36),
         (20, 120, 110)),
        mesh="bottle.stl", shine=(0.9, 0.8),
    ),
    Category(
        "can", "can", (0.025, 0.026), (0.18, 0.28), _PLAIN, mesh="can.msh", texture="soda.png",
        scale=(1.15, 1.15, 1.15), hues=(0, 4, 2, 1, 3, 5), texrepeat=(5, 5), shine=(0.7, 0.6),
    ),
    Category(
        "milk", "milk carton", (0.0222, 0.0222), (0.20, 0.30),
        ((250, 250, 250), (176, 206, 240), (246, 214, 214), (206, 236, 200), (250, 238, 180),
         (214, 200, 240)),
        mesh="milk.msh", texture="ceramic.png",
    ),
    Category(
        "cereal", "cereal box", (0.050, 0.015), (0.15, 0.25), _PLAIN, mesh="cereal.msh",
        texture="cereal.png", hues=(0, 2, 4, 1, 5, 3),
    ),
    Category(
        "bread", "bread", (0.030, 0.025), (0.10, 0.16),
        ((255, 255, 255), (255, 226, 190), (222, 190, 150), (255, 240, 214), (236, 206, 170),
         (206, 170, 130)),
        mesh="bread.stl", texture="bread.png", scale=(1.04, 1.04, 1.04), texrepeat=(15, 15),
        shine=(0.1, 0.1),
    ),
    Category(
        "lemon", "lemon", (0.023, 0.020), (0.10, 0.16),
        ((255, 255, 255), (255, 226, 160), (236, 255, 170), (255, 206, 140), (220, 240, 140),
         (255, 190, 120)),
        mesh="lemon.msh", texture="lemon.png", scale=(1.8, 1.2, 1.2), texrepeat=(60, 50), condim=6,
    ),
)  # fmt: skip

_CROCKERY = (
    Category(
        "mug", "mug", (0.075, 0.040), (0.22, 0.34), (_WHITE, _BLUE, _RED, _GREEN, _CREAM, _NAVY),
        (_BLUE, _WHITE, _CREAM, _WHITE, _BROWN, _GOLD), shine=(0.6, 0.6),
    ),
    Category(
        "cup", "beaker", (0.038, 0.038), (0.10, 0.20), (_TEAL, _ORANGE, _WHITE, _ROSE, _PURPLE,
         _GOLD), (_WHITE, _CREAM, _RED, _WHITE, _CREAM, _BROWN), shine=(0.5, 0.5),
    ),
    Category(
        "bowl", "small bowl", (0.0525, 0.0525), (0.16, 0.28),
        (_WHITE, _CREAM, _TEAL, _ROSE, _NAVY, _GREEN), (_NAVY, _RED, _CREAM, _WHITE, _WHITE, _GOLD),
        scale=(0.93, 0.93, 0.93), shine=(0.6, 0.6),
    ),
    Category(
        "jug", "jug", (0.0783, 0.0455), (0.28, 0.40), (_CREAM, _NAVY, _WHITE, _BROWN, _TEAL, _GREY),
        (_BLUE, _WHITE, _GREEN, _CREAM, _WHITE, _NAVY), scale=(0.95, 0.95, 0.95),
        shine=(0.6, 0.6), held_out=True,
    ),
)  # fmt: skip

_PRODUCE = (
    Category(
        "apple", "apple", (0.0384, 0.0394), (0.14, 0.20),
        ((176, 34, 34), (196, 172, 60), (120, 160, 52), (196, 66, 44), (150, 24, 40),
         (214, 186, 84)),
        ((214, 150, 60), (200, 70, 48), (170, 190, 80), (232, 196, 96), (190, 60, 56),
         (176, 60, 40)),
        condim=6,
    ),
    Category(
        "orange", "orange", (0.0388, 0.0388), (0.14, 0.22),
        ((238, 138, 30), (244, 156, 40), (230, 122, 24), (240, 146, 50), (226, 110, 30),
         (246, 168, 48)),
        ((214, 108, 20), (226, 130, 28), (206, 98, 20), (220, 120, 30), (198, 86, 20),
         (232, 140, 30)),
        scale=(0.96, 0.96, 0.96), condim=6,
    ),
    Category(
        "pear", "pear", (0.0366, 0.0369), (0.14, 0.20),
        ((176, 186, 74), (202, 190, 84), (158, 122, 66), (150, 172, 70), (206, 178, 90),
         (186, 160, 70)),
        ((196, 176, 80), (206, 150, 76), (134, 96, 54), (184, 190, 90), (196, 110, 70),
         (150, 112, 60)),
        condim=6, held_out=True,
    ),
    Category(
        "tomato", "tomato", (0.0381, 0.0385), (0.10, 0.17),
        ((200, 40, 26), (214, 62, 30), (188, 30, 28), (222, 100, 36), (176, 28, 30),
         (206, 52, 40)),
        ((220, 70, 40), (228, 96, 46), (208, 56, 40), (232, 134, 60), (196, 50, 44),
         (222, 88, 60)),
        shine=(0.7, 0.6), condim=6,
    ),
    Category(
        "banana", "banana", (0.0933, 0.0384), (0.11, 0.16),
        ((236, 204, 62), (228, 196, 70), (216, 200, 76), (240, 212, 86), (224, 186, 56),
         (200, 196, 80)),
        ((222, 184, 50), (204, 168, 56), (170, 186, 70), (226, 190, 70), (198, 156, 46),
         (150, 172, 66)),
        condim=6,
    ),
    Category(
        "potato", "potato", (0.0475, 0.0347), (0.12, 0.20),
        ((198, 160, 104), (184, 144, 92), (170, 128, 84), (208, 172, 116), (160, 96, 84),
         (190, 152, 110)),
        ((168, 128, 80), (154, 112, 70), (140, 100, 64), (182, 142, 92), (134, 74, 66),
         (158, 118, 80)),
        shine=(0.1, 0.1), condim=6,
    ),
    Category(
        "avocado", "avocado", (0.0495, 0.0335), (0.14, 0.22),
        ((62, 76, 42), (74, 98, 46), (56, 54, 46), (88, 112, 52), (48, 60, 40), (70, 80, 56)),
        ((84, 96, 56), (104, 126, 62), (72, 62, 56), (112, 136, 68), (66, 74, 50), (90, 92, 70)),
        condim=6,
    ),
)  # fmt: skip

_JARS = (
    Category(
        "jam", "jam jar", (0.033, 0.033), (0.28, 0.42),
        ((140, 26, 40), (206, 110, 30), (86, 30, 70), (200, 150, 40), (112, 66, 34), (60, 84, 40)),
        (_RED, _NAVY, _PURPLE, _GREEN, _BLACK, _GOLD), shine=(0.8, 0.7),
    ),
    Category(
        "canned_food", "tin", (0.0385, 0.0385), (0.30, 0.45),
        (_RED, _GREEN, _NAVY, _GOLD, _TEAL, _PURPLE),
        (_GOLD, _CREAM, _WHITE, _RED, _ORANGE, _WHITE), scale=(0.98, 0.98, 0.98), shine=(0.7, 0.6),
    ),
    Category(
        "bottled_water", "tall bottle", (0.031, 0.031), (0.30, 0.50),
        ((120, 170, 200), (196, 214, 220), (70, 120, 74), (150, 110, 50), (90, 140, 190),
         (170, 60, 50)),
        (_NAVY, _BLUE, _BLACK, _RED, _TEAL, _CREAM), shine=(0.8, 0.7),
    ),
    Category(
        "shaker", "spice shaker", (0.0235, 0.0235), (0.06, 0.12),
        ((150, 60, 30), (90, 100, 50), (226, 222, 210), (60, 52, 48), (200, 150, 40),
         (120, 36, 34)),
        (_BLACK, _GREEN, _GREY, _RED, _BROWN, _NAVY), scale=(1.04, 1.04, 1.04),
        shine=(0.6, 0.5), held_out=True,
    ),
    Category(
        "flower_vase", "vase of flowers", (0.0705, 0.0705), (0.30, 0.44),
        (_NAVY, _WHITE, _TEAL, _ROSE, _CREAM, _BROWN),
        (_GOLD, _RED, _WHITE, _PURPLE, _ORANGE, _ROSE), shine=(0.6, 0.5),
    ),
)  # fmt: skip

_PACKETS = (
    Category(
        "boxed_food", "pasta box", (0.039, 0.025), (0.20, 0.36),
        (_NAVY, _RED, _GREEN, _ORANGE, _PURPLE, _TEAL),
        (_GOLD, _CREAM, _WHITE, _BROWN, _ROSE, _ORANGE), shine=(0.2, 0.2),
    ),
    Category(
        "tea_box", "tea box", (0.050, 0.032), (0.08, 0.16),
        (_GREEN, _GOLD, _ROSE, _TEAL, _BLACK, _CREAM),
        (_CREAM, _BROWN, _PURPLE, _WHITE, _GOLD, _GREEN), shine=(0.2, 0.2), held_out=True,
    ),
    Category(
        "butter", "butter", (0.0525, 0.029), (0.20, 0.28),
        ((236, 226, 190), (226, 226, 222), (240, 220, 150), (214, 220, 226), (232, 214, 190),
         (220, 206, 140)),
        (_BLUE, _GREEN, _RED, _NAVY, _BROWN, _TEAL), shine=(0.5, 0.4),
    ),
    Category(
        "cheese", "cheese", (0.0425, 0.0275), (0.18, 0.28),
        ((238, 200, 92), (230, 176, 70), (242, 220, 150), (224, 150, 60), (236, 208, 120),
         (228, 190, 60)),
        ((204, 160, 60), (196, 136, 46), (214, 184, 110), (190, 116, 40), (204, 168, 84),
         (190, 146, 40)),
    ),
    Category(
        "bar_soap", "bar of soap", (0.0425, 0.028), (0.09, 0.14),
        ((238, 232, 216), (176, 206, 190), (226, 186, 190), (180, 196, 220), (222, 206, 150),
         (196, 180, 214)),
        ((222, 208, 180), (140, 180, 160), (208, 150, 160), (140, 164, 200), (200, 176, 110),
         (164, 140, 190)),
        shine=(0.5, 0.5),
    ),
    Category(
        "sponge", "sponge", (0.0525, 0.034), (0.05, 0.08),
        ((238, 208, 76), (240, 190, 70), (130, 190, 210), (236, 150, 160), (150, 200, 110),
         (200, 160, 210)),
        ((46, 110, 66), (60, 90, 60), (40, 80, 110), (110, 60, 80), (60, 96, 50), (90, 60, 110)),
        shine=(0.05, 0.05),
    ),
)  # fmt: skip

CATEGORIES: dict[str, Category] = {
    category.name: category for category in (*_SHIPPED, *_CROCKERY, *_PRODUCE, *_JARS, *_PACKETS)
}
"""The categories by name."""
