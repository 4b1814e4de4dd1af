"""Finishing touches on the MJCF that RoboCasa writes: static fixtures, light, nothing unused."""

import re
from typing import Any
from xml.etree.ElementTree import Element

from dexbench.envs.scenes.lighting import set_light
from dexbench.envs.scenes.objects import SOLIMP, SOLREF
from dexbench.envs.scenes.styles import STYLES, repeat

_MOVING = ("robot0_", "gripper0_", "mobilebase0_", "object_")


def finish(root: Element, recipe: dict[str, Any]) -> None:
    """Make the scene of ``recipe`` static but for robot and objects, lit, and free of leftovers."""
    _fix_fixtures(root)
    set_light(root, recipe["light"])
    if "surfaces" in recipe:  # RoboCasa's own textures have their size
        _scale_textures(root, recipe)
    _quieten(root)
    _prune_assets(root)


def _fix_fixtures(root: Element) -> None:
    """Doors and drawers stay shut: they are looked at, and every hinge would cost time."""
    world = root.find("worldbody")
    assert world is not None
    for top in world.findall("body"):
        if (top.get("name") or "").startswith(_MOVING):
            continue
        if any(True for _ in top.iter("joint")):
            _fill(top)
        for body in top.iter("body"):
            for tag in ("joint", "freejoint", "site"):
                for element in body.findall(tag):
                    body.remove(element)
            for geom in body.findall("geom"):
                if _is_hidden(geom):
                    body.remove(geom)


def _fill(cabinet: Element) -> None:
    """Replace the boards of a shut cabinet or drawer by one solid box of the same outside."""
    boards = {(geom.get("name") or ""): geom for geom in cabinet.findall("geom")}
    for suffix in ("", "_visual"):
        sides = {
            side: geom
            for side in ("top", "bottom", "back", "left", "right")
            for name, geom in boards.items()
            if name.endswith(f"_{side}{suffix}")
        }
        lid = sides.get("top")
        if lid is None or len(sides) < 5:
            continue
        half, pos = _floats(lid, "size"), _floats(lid, "pos")
        lid.set("size", f"{half[0]:.6g} {half[1]:.6g} {pos[2] + half[2]:.6g}")
        lid.set("pos", f"{pos[0]:.6g} {pos[1]:.6g} 0")
        for side, geom in sides.items():
            if side != "top":
                cabinet.remove(geom)
    for body in list(cabinet.iter("body")):
        for child in body.findall("body"):
            if "_level" in (child.get("name") or ""):
                body.remove(child)
        for geom in body.findall("geom"):
            if "_inner_" in (geom.get("name") or ""):
                body.remove(geom)


def _floats(element: Element, attribute: str) -> list[float]:
    return [float(value) for value in element.get(attribute, "").split()]


def _is_hidden(geom: Element) -> bool:
    """Return whether a fixture's geom is a marker, or a detail that the hand will never feel."""
    name = geom.get("name") or ""
    if "_reg_" in name or re.search(r"_base_(left|right|front|back)(_visual)?$", name):
        return True
    return not name.endswith("_visual") and ("_trim_" in name or "_connector_" in name)


def _scale_textures(root: Element, recipe: dict[str, Any]) -> None:
    """Give counters and fronts textures of natural size; RoboCasa's are repeated for its own."""
    front = STYLES[recipe["style"]].front
    for material in root.iter("material"):
        name, kind = material.get("name") or "", (material.get("texture") or "")
        if name.endswith("_counter_top"):
            material.set("texrepeat", repeat(recipe["surfaces"]["top"]))
        elif "_unit_" in name and material.get("texuniform") == "true" and "metal" not in kind:
            material.set("texrepeat", repeat(front))


def _quieten(root: Element) -> None:
    """Remove what is drawn at random, costs rendering time or is not part of a scene."""
    for geom in root.iter("geom"):
        # RoboCasa colours counters' collision geoms from numpy's global generator.
        if geom.get("group", "0") == "0" and geom.get("type") == "box" and "rgba" in geom.attrib:
            geom.set("rgba", "0.5 0.5 0.5 0.5")
        if re.search(r"^counter_.*_top_\d+$", geom.get("name") or ""):
            geom.set("solref", " ".join(map(str, SOLREF)))
            geom.set("solimp", " ".join(map(str, SOLIMP)))
    for material in root.iter("material"):
        material.set("reflectance", "0")  # a reflecting plane is rendered twice
    for parent in list(root.iter()):
        for camera in parent.findall("camera"):
            if not (camera.get("name") or "").startswith("robot0_"):
                parent.remove(camera)


def _prune_assets(root: Element) -> None:
    """Remove materials, meshes and textures that nothing refers to: loading them takes time."""
    asset = root.find("asset")
    assert asset is not None
    for tag in ("material", "mesh", "texture"):
        used = {element.get(tag) for element in root.iter() if element.get(tag)}
        for element in asset.findall(tag):
            if element.get("type") != "skybox" and element.get("name") not in used:
                asset.remove(element)
