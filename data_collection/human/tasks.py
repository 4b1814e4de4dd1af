"""What people do in a clip, by tasks that are named as EgoDex names its folders."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dexbench.data_collection.scripted.poses import UP, pose, turns
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT

from .body import arm_heading
from .grasp import heading
from .skeleton import FIST, POINTING, RELAXED, SIDES, STRAIGHT
from .stage import OTHER, Stage

MANY = 8.0
"""Time in s after which a script begins nothing new."""
Script = Callable[[Stage], None]
FLAT = ("boxed_food", "butter", "cheese", "bar_soap", "sponge", "canned_food", "can")
"""Categories with a level top."""
UPRIGHT = ("bottled_drink", "bottled_water", "milk", "jam", "boxed_food", "canned_food", "can",
           "cup", "mug")  # fmt: skip
"""Categories that stand, and are taken from the side."""
SMALL = ("lemon", "apple", "orange", "tomato", "potato", "avocado", "bread", "butter", "cheese",
         "bar_soap", "sponge", "can", "jam")  # fmt: skip
"""Categories that one hand takes from above."""


def _pick_place(stage: Stage) -> None:
    """One object after the other, each with the hand that is nearer."""
    rest = dict.fromkeys(SIDES, True)
    while min(stage.clock.values()) < MANY:
        thing = int(stage.rng.integers(len(stage.solids)))
        side = stage.side_of(thing)
        there = stage.spot(thing, side)
        if there is None:
            stage.wait(side)
            continue
        stage.wait(OTHER[side], stage.clock[side] - 0.2)
        stage.grasp(side, thing)
        stage.put(side, there)
        if rest[side] and stage.rng.random() < 0.5:
            stage.rest(side)
        stage.wait(side)
        stage.wait(OTHER[side], stage.clock[side] - stage.rng.uniform(0, 1.5))


def _tidy(stage: Stage) -> None:
    """Both hands at a time, each with objects of its own side."""
    for side in SIDES:
        while stage.clock[side] < MANY:
            own = [i for i in range(len(stage.solids)) if stage.side_of(i) == side]
            if not own:
                break
            thing = int(stage.rng.choice(own))
            there = stage.spot(thing, side)
            if there is not None:
                stage.grasp(side, thing)
                stage.put(side, there)
            stage.wait(side)
        stage.rest(side)


def _push(stage: Stage) -> None:
    """Objects along the counter: inward with the palm, away and back with the fingertips."""
    while min(stage.clock.values()) < MANY:
        thing = int(stage.rng.integers(len(stage.solids)))
        side = stage.side_of(thing)
        inward = -1.0 if side == "right" else 1.0
        angle = stage.rng.choice([0.0, 0.5 * np.pi, -0.5 * np.pi]) + stage.rng.uniform(-0.5, 0.5)
        way = np.array([inward * np.cos(angle), np.sin(angle), 0.0])
        far = stage.slack(thing, way)
        if far < 0.06:
            stage.wait(side)
            continue
        stage.wait(OTHER[side], stage.clock[side] - 0.2)
        stage.push(side, thing, way, min(far, stage.rng.uniform(0.08, 0.25)))
        if stage.rng.random() < 0.5:
            stage.rest(side)
        stage.wait(side)
        stage.wait(OTHER[side], stage.clock[side] - stage.rng.uniform(0, 1.0))


def _stack(stage: Stage) -> None:
    """Put an object on another, and take it down again."""
    first, second = 0, 1
    side = stage.side_of(first)
    while stage.clock[side] < MANY:
        below, above = stage.places[second], stage.places[first].copy()
        above[:2, 3] = below[:2, 3] + stage.rng.normal(0, 0.004, 2)
        above[2, 3] = below[2, 3] + stage.solids[second].high[2] - stage.solids[first].low[2]
        stage.grasp(side, first)
        stage.put(side, above, stage.rng.uniform(0.05, 0.09))
        stage.rest(side)
        stage.wait(side)
        down = stage.spot(first, side)
        if down is None:
            return
        stage.grasp(side, first)
        stage.put(side, down)
        stage.rest(side)


def _pour(stage: Stage) -> None:
    """Tilt what stands over something else, and put it back."""
    first, second = 0, 1
    side = stage.side_of(first)
    inward = -1.0 if side == "right" else 1.0
    start = stage.places[first].copy()
    while stage.clock[side] < MANY:
        stage.grasp(side, first)
        target = stage.places[second]
        over = start.copy()
        over[:3, 3] = target[:3, 3] + [-inward * 0.10, 0, 0]
        over[2, 3] = COUNTER_HEIGHT + stage.solids[second].height + stage.rng.uniform(0.08, 0.13)
        up = stage.places[first].copy()
        up[2, 3] += 0.07
        stage.carry(side, up, lap=0.45)
        stage.carry(side, over, arc=0.03, lap=0.2)
        for _ in range(int(stage.rng.integers(1, 4))):
            tilted = over.copy()
            angle = inward * stage.rng.uniform(1.1, 1.8)
            tilted[:3, :3] = turns("y", angle) @ over[:3, :3]
            stage.carry(side, tilted, lap=0.0)
            stage.wait(side)
            stage.carry(side, over, lap=0.2)
        back = stage.spot(first, side)
        start = start if back is None else back
        stage.put(side, start)
        stage.rest(side)
        stage.wait(side)


def _wipe(stage: Stage) -> None:
    """Rub the counter with the first object."""
    thing = 0
    side = stage.side_of(thing)
    stage.grasp(side, thing)
    while stage.clock[side] < MANY + 3:
        there = stage.spot(thing, side)
        if there is None:
            break
        turn, wide = stage.places[thing][:3, :3], stage.rng.uniform(0.02, 0.05)
        for angle in np.arange(0, 2 * np.pi * stage.rng.integers(1, 4), 0.5 * np.pi):
            place = there.copy()
            place[:3, :3] = turn
            place[:2, 3] += wide * np.array([np.cos(angle), np.sin(angle)])
            stage.carry(side, place, lap=0.5)
        stage.wait(side)
        stage.places[thing] = place
    stage.release(side, stage.places[thing])
    stage.rest(side)


def _hand_over(stage: Stage) -> None:
    """Pass an object from hand to hand, and put it down on the other side."""
    while max(stage.clock.values()) < MANY:
        thing = int(stage.rng.integers(len(stage.solids)))
        giver = stage.side_of(thing)
        stage.wait(giver, max(stage.clock.values()) - 0.3)
        stage.grasp(giver, thing)
        middle = stage.places[thing].copy()
        middle[:3, 3] = [
            stage.stand[0] + stage.rng.normal(0, 0.03), stage.rng.uniform(-0.52, -0.44),
            stage.rng.uniform(1.06, 1.14),
        ]  # fmt: skip
        down = stage.spot(thing, OTHER[giver])
        up = stage.places[thing].copy()
        up[2, 3] += 0.06
        stage.carry(giver, up, lap=0.5)
        stage.pass_over(giver, middle)
        if down is None:
            down = stage.first[thing]
        stage.put(OTHER[giver], down, 0.0)
        stage.rest(OTHER[giver])


def _open_close(stage: Stage) -> None:
    """Hands in the air that open and close, stretch fingers and turn."""
    shapes = (FIST, STRAIGHT, RELAXED, POINTING)
    for side in SIDES:
        while stage.clock[side] < MANY + 2:
            if stage.rng.random() < 0.45:
                x, y = stage.rng.uniform(0.05, 0.30), stage.rng.uniform(-0.60, -0.38)
                x = stage.stand[0] + (x if side == "right" else -x)
                turn = heading(side, stage.rng.uniform(0, 0.8), stage.rng.uniform(-0.7, 0.6),
                               stage.rng.uniform(-0.2, 2.6))  # fmt: skip
                stage.go(side, pose(turn, np.array([x, y, stage.rng.uniform(1.02, 1.22)])), lap=0.3)
            shape = shapes[int(stage.rng.integers(len(shapes)))] * stage.rng.uniform(0.6, 1.0)
            shape = shape + stage.rng.normal(0, 0.08, 20)
            time = float(stage.rng.uniform(0.35, 0.9))
            stage.fingers(side, shape, stage.clock[side], time)
            stage.clock[side] += time * float(stage.rng.uniform(0.7, 1.6))


def _point(stage: Stage) -> None:
    """Touch objects with the index finger or the flat hand, and go back."""
    while min(stage.clock.values()) < MANY:
        thing = int(stage.rng.integers(len(stage.solids)))
        side = stage.side_of(thing)
        stage.wait(OTHER[side], stage.clock[side] - 0.5)
        place, solid = stage.places[thing], stage.solids[thing]
        top = np.array([*place[:2, 3], place[2, 3] + solid.high[2]])
        finger = stage.rng.random() < 0.6
        natural = arm_heading(stage.person, side, place[:3, 3]) + stage.rng.uniform(0.1, 0.5)
        turn = heading(side, natural, stage.rng.uniform(0.4, 0.8), 0.1)
        size = stage.person.hand
        tip = np.array([0.175, 0, -0.01]) if finger else np.array([0.11, 0, -0.035])
        flip = [1, 1 if side == "right" else -1, 1]
        tip = turn @ ((tip + [0, 0.033 if finger else 0, 0]) * flip * size)
        goal = top + [0, 0, 0.012] - tip
        stage.fingers(side, POINTING if finger else 0.3 * RELAXED, stage.clock[side], 0.6)
        stage.go(side, pose(turn, goal + 0.06 * UP), arc=0.03, lap=0.3)
        stage.go(side, pose(turn, goal))
        stage.wait(side)
        stage.go(side, pose(turn, goal + 0.08 * UP), lap=0.4)
        if stage.rng.random() < 0.6:
            stage.rest(side)


def _two_hands(stage: Stage) -> None:
    """Lift something broad between both palms, carry it and put it down."""
    sizes = [solid.radius if solid.height > 0.05 else 0 for solid in stage.solids]
    thing = int(np.argmax(sizes))
    while max(stage.clock.values()) < MANY:
        stage.together()
        there = stage.spot(thing)
        if there is None:
            return
        stage.lift_between(thing, there)
        for side in SIDES:
            stage.rest(side)
            stage.wait(side)


@dataclass(frozen=True)
class Task:
    """One kind of clip."""

    script: Script
    """What the hands do."""
    categories: tuple[str, ...] | None
    """What its first objects are; anything if None."""
    sentence: str
    """What is done, in words."""


TASKS: dict[str, Task] = {
    "basic_pick_place": Task(_pick_place, None, "Pick up objects and place them elsewhere."),
    "tidy_counter_both_hands": Task(_tidy, SMALL, "Move objects about with both hands at a time."),
    "push_slide_objects": Task(_push, None, "Push objects along the counter."),
    "stack_unstack_packets": Task(_stack, FLAT, "Stack one object on another and take it down."),
    "pour_from_container": Task(_pour, UPRIGHT, "Pour from one container over another."),
    "wipe_kitchen_counter": Task(_wipe, ("sponge",), "Wipe the counter with a sponge."),
    "hand_over_objects": Task(_hand_over, UPRIGHT, "Pass objects from one hand to the other."),
    "open_close_hands": Task(_open_close, None, "Open, close and turn the hands in the air."),
    "touch_point_objects": Task(_point, None, "Touch objects with a finger or the flat hand."),
    "lift_with_two_hands": Task(_two_hands, ("bowl", "boxed_food", "cereal", "milk"),
                                "Lift an object between both hands and put it down."),
}  # fmt: skip
"""By name."""
