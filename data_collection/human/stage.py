"""A counter with objects on it and two hands over it: what they do, one after the other."""

from dataclasses import dataclass, field

import numpy as np

from dexbench.data_collection.scripted.counter import Counter
from dexbench.data_collection.scripted.motion import Hold, Track, drift, quiet
from dexbench.data_collection.scripted.poses import UP, Array, pose, turns
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT

from .body import Hands, arm_heading
from .grasp import Grasp, heading, slide_to_contact, take
from .skeleton import RELAXED, SIDES, STRAIGHT, Person

OTHER = {"left": "right", "right": "left"}
_SIGN = {"left": -1.0, "right": 1.0}


@dataclass
class Stage(Counter):
    """What two hands do in one clip; every action begins at its hand's clock.

    Args:
        stand: Where the person stands (x, y), in m.
        solids: Shapes of the objects.
        places: Transforms (4, 4) of the objects in the world at the start.
        rng: The stream to draw from.
        person: Whose hands.
    """

    person: Person
    clock: dict[str, float] = field(default_factory=dict)
    """By side: when the hand is free, in s."""

    def __post_init__(self) -> None:
        self.first = list(self.places)
        self.pace = float(self.rng.uniform(0.85, 1.3))
        self.holds: list[Hold] = []
        self._quiet: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        self._wrists = {side: Track(self.home(side)) for side in SIDES}
        self._angles = {side: Track(RELAXED * self.rng.uniform(0.6, 1.2)) for side in SIDES}
        self._held: dict[str, tuple[int, Grasp, Array, float]] = {}
        self.clock = {side: float(self.rng.uniform(0.1, 0.9)) for side in SIDES}

    def home(self, side: str) -> Array:
        """Return where a hand waits: above the counter's edge, (4, 4) in the world."""
        rng = self.rng
        turn = heading(side, rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.6), rng.uniform(0.0, 0.9))
        x = self.stand[0] + _SIGN[side] * rng.uniform(0.13, 0.27)
        return pose(turn, np.array([x, rng.uniform(-0.70, -0.60), rng.uniform(0.99, 1.10)]))

    def wait(self, side: str, until: float | None = None) -> None:
        """Let a hand pause, or wait for a time in s."""
        pause = self.clock[side] + float(self.rng.uniform(0.1, 0.5))
        self.clock[side] = pause if until is None else max(self.clock[side], until)

    def together(self) -> None:
        """Let the hand that is ahead wait for the other."""
        both = max(self.clock.values())
        self.clock = dict.fromkeys(SIDES, both)

    def go(
        self, side: str, wrist: Array, arc: float = 0.0, slow: float = 1.0, lap: float = 0.0
    ) -> float:
        """Move a wrist to a transform (4, 4); return when it is there, in s.

        Args:
            side: Which hand.
            wrist: Where to.
            arc: How high the way bows, in m.
            slow: Factor on the time it takes.
            lap: Share of the move that the next one may overlap.
        """
        track, start = self._wrists[side], self.clock[side]
        far = float(np.linalg.norm(wrist[:3, 3] - track.last[:3, 3]))
        turned = np.arccos(np.clip((np.trace(track.last[:3, :3].T @ wrist[:3, :3]) - 1) / 2, -1, 1))
        time = (0.38 + 1.35 * far + 0.22 * float(turned)) * self.pace * slow
        end = start + time * float(self.rng.uniform(0.9, 1.1))
        # Moves overlap, but each is over when the next one is.
        end = max(end, track.steps[-1].end if track.steps else 0.0)
        track.move(start, end, wrist, arc * UP)
        self.clock[side] = end - lap * (end - start)
        return end

    def fingers(self, side: str, angles: Array, start: float, time: float) -> None:
        """Bring the fingers to angles (20,) from a time in s on."""
        self._angles[side].move(start, start + time * self.pace, angles)

    def grasp(self, side: str, thing: int) -> None:
        """Reach for an object and close the hand about it.

        Raises:
            NoGrasp: It is too wide.
        """
        there = self.places[thing]
        floor = min(COUNTER_HEIGHT, there[2, 3] + self.solids[thing].low[2])
        plan = take(self.solids[thing], there, self.person, side, floor, self.rng)
        before = plan.wrist.copy()
        before[:3, 3] += plan.away
        self.fingers(side, plan.ready, self.clock[side] + 0.15, 0.6)
        self.go(side, before, arc=0.04, lap=0.3)
        touch = self.go(side, plan.wrist, slow=0.8)
        shut = touch + 0.3 * self.pace
        self.fingers(side, plan.closed, touch - 0.1, 0.35)
        self._quiet[side].append((touch - 0.15, shut))
        self._held[side] = thing, plan, np.linalg.inv(plan.wrist) @ there, shut
        self.clock[side] = shut

    def carry(self, side: str, there: Array, arc: float = 0.0, lap: float = 0.25) -> float:
        """Bring what a hand holds to a transform (4, 4); return when it is there, in s."""
        _, _, inside, _ = self._held[side]
        return self.go(side, there @ np.linalg.inv(inside), arc=arc, lap=lap)

    def put(self, side: str, there: Array, height: float | None = None) -> None:
        """Lift what a hand holds, carry it over to ``there`` (4, 4), let go and draw back."""
        thing = self._held[side][0]
        rise = float(self.rng.uniform(0.05, 0.16)) if height is None else height
        up = self.places[thing].copy()
        up[2, 3] += rise
        if self._wrists[side].steps:
            self.carry(side, up, lap=0.45)
        over = there.copy()
        over[2, 3] = max(there[2, 3], up[2, 3] - rise) + rise * float(self.rng.uniform(0.5, 1.0))
        self.carry(side, over, arc=0.03, lap=0.35)
        self.release(side, there)

    def release(self, side: str, there: Array) -> None:
        """Set down what a hand holds at ``there`` (4, 4), open the hand and draw it back."""
        thing, plan, inside, since = self._held.pop(side)
        wrist = there @ np.linalg.inv(inside)
        down = self.go(side, wrist, slow=0.9)
        self.holds.append(Hold(thing, side, since, down, there))
        self.places[thing] = there
        open_hand = plan.closed + 0.85 * (plan.ready - plan.closed)
        self.fingers(side, open_hand, down, 0.35)
        self._quiet[side].append((down - 0.1, down + 0.3))
        self.clock[side] = down + 0.2 * self.pace
        back = wrist.copy()
        back[:3, 3] += wrist[:3, :3] @ (plan.wrist[:3, :3].T @ plan.away) * 0.9
        self.go(side, back, slow=0.8, lap=0.35)

    def pass_over(self, giver: str, there: Array) -> None:
        """Bring what a hand holds to ``there`` (4, 4) in the air, where the other hand takes it.

        Raises:
            NoGrasp: The other hand cannot take it.
        """
        taker = OTHER[giver]
        thing, plan, inside, since = self._held[giver]
        self.carry(giver, there, arc=0.02, lap=0.0)
        self.places[thing] = there
        self.wait(taker, self.clock[giver] - 0.5)
        self.grasp(taker, thing)
        moment = max(self.clock.values())
        self._quiet[giver].append((self.clock[giver] - 0.1, moment + 0.2))
        self.clock = dict.fromkeys(SIDES, moment)
        self.holds.append(Hold(thing, giver, since, moment, there))
        other, grip, place, _ = self._held[taker]
        self._held[taker] = other, grip, place, moment
        del self._held[giver]
        self.fingers(giver, plan.ready, moment, 0.35)
        back = there @ np.linalg.inv(inside)
        back[:3, 3] += 0.08 * back[:3, 2] - 0.06 * back[:3, 0]
        self.clock[giver] = moment + 0.2
        self.go(giver, back, lap=0.3)
        self.rest(giver)
        self.clock[taker] = moment + 0.25

    def push(self, side: str, thing: int, way: Array, far: float) -> None:
        """Push an object ``far`` m along ``way`` (3,), level and of unit length."""
        there, solid, sign = self.places[thing], self.solids[thing], _SIGN[side]
        inward = float(-sign * way[0])
        natural = arm_heading(self.person, side, there[:3, 3]) + self.rng.uniform(0.1, 0.4)
        if inward > 0.5:  # with the palm
            turn = heading(side, natural, self.rng.uniform(0.2, 0.5), 1.4)
        else:  # with the fingertips, that point down behind what is pulled
            pitch = self.rng.uniform(0.5, 0.8) if way[1] > 0 else self.rng.uniform(1.0, 1.25)
            turn = heading(side, natural, pitch, 0.1)
        angles = STRAIGHT + 0.3 * RELAXED
        angles[1] = 0.5
        level = COUNTER_HEIGHT + max(0.05, min(0.6 * solid.height, 0.08))
        aim = np.array([there[0, 3], there[1, 3], level])
        place = slide_to_contact(solid, there, turn, angles, aim, way, side, self.person.hand)
        start = pose(turn, place)
        before = pose(turn, place - 0.05 * way + 0.02 * UP)
        self.fingers(side, angles, self.clock[side], 0.6)
        self.go(side, pose(turn, place - 0.07 * way + 0.10 * UP), arc=0.03, lap=0.3)
        self.go(side, before, lap=0.3)
        touch = self.go(side, start, slow=0.8)
        self.clock[side] = touch + 0.02
        end = start.copy()
        end[:3, 3] += far * way
        done = self.go(side, end, slow=1.3)
        rest = there.copy()
        rest[:3, 3] += far * way
        self.holds.append(Hold(thing, side, touch, done, rest))
        self.places[thing] = rest
        self._quiet[side].append((touch - 0.1, done + 0.1))
        self.clock[side] = done
        self.go(side, pose(turn, end[:3, 3] - 0.06 * way + 0.05 * UP), lap=0.3)

    def lift_between(self, thing: int, there: Array) -> None:
        """Take an object between both palms, bring it to ``there`` (4, 4), let go."""
        here, solid = self.places[thing], self.solids[thing]
        flat = STRAIGHT + 0.35 * RELAXED
        flat[1] = 0.35
        rise, start = float(self.rng.uniform(0.06, 0.15)), {}
        level = COUNTER_HEIGHT + max(0.045, 0.55 * solid.height)
        for side in SIDES:
            way = np.array([-_SIGN[side], 0.0, 0.0])
            turn = heading(side, self.rng.uniform(0.1, 0.3), self.rng.uniform(0.15, 0.35), 1.45)
            aim = np.array([here[0, 3], here[1, 3] - 0.01, level])
            place = slide_to_contact(solid, here, turn, flat, aim, way, side, self.person.hand)
            start[side] = pose(turn, place)
            self.fingers(side, flat, self.clock[side], 0.6)
            self.go(side, pose(turn, place - 0.07 * way + 0.03 * UP), arc=0.04, lap=0.25)
        self.together()
        for side in SIDES:
            self.go(side, start[side])
        self.together()
        since = self.clock["left"]
        moves = [rise * UP, there[:3, 3] - here[:3, 3] + rise * UP, there[:3, 3] - here[:3, 3]]
        end = since
        for shift, lap in zip(moves, (0.4, 0.3, 0.0), strict=True):
            time = (0.45 + 1.6 * float(np.linalg.norm(shift))) * self.pace
            for side in SIDES:
                goal = start[side].copy()
                goal[:3, 3] += shift
                self._wrists[side].move(end, end + time, goal)
            last, end = end + time, end + (1 - lap) * time
        rest = pose(here[:3, :3], there[:3, 3])
        self.holds.append(Hold(thing, "right", since, last, rest))
        self.places[thing] = rest
        for side in SIDES:
            self._quiet[side].append((since - 0.15, last + 0.2))
            self.clock[side] = last + 0.15
            goal = self._wrists[side].last.copy()
            goal[:3, 3] += [_SIGN[side] * 0.06, 0, 0.03]
            self.go(side, goal, lap=0.3)

    def rest(self, side: str) -> None:
        """Bring an empty hand back to the counter's edge."""
        self.fingers(side, RELAXED * self.rng.uniform(0.5, 1.2), self.clock[side], 0.6)
        self.go(side, self.home(side), arc=0.02, lap=0.1)

    def frames(self, extra: float = 0.4) -> int:
        """Return the number of frames until both hands are done, and ``extra`` s more."""
        return int(np.ceil((max(self.clock.values()) + extra) * CONTROL_HZ))

    def play(self, n: int) -> tuple[Hands, Array]:
        """Return what the hands do over ``n`` frames, and the objects' transforms (n, k, 4, 4)."""
        times = np.arange(n) / CONTROL_HZ
        wrists, angles = {}, {}
        for side in SIDES:
            loud = quiet(times, self._quiet[side])[:, None]
            wrist = self._wrists[side].sample(times)
            shift = loud * drift(self.rng, n, 3, 0.45) * 0.004
            tilt = loud * drift(self.rng, n, 3, 0.5) * 0.035
            wrist[:, :3, 3] += shift
            for i, axis in enumerate("xyz"):
                wrist[:, :3, :3] = wrist[:, :3, :3] @ turns(axis, tilt[:, i])
            wrists[side] = wrist
            shake = (
                loud * drift(self.rng, n, 20, 0.5) * np.where(np.arange(20) % 4 == 1, 0.03, 0.06)
            )
            angles[side] = self._angles[side].sample(times) + shake * self._freedom(side, times)
        objects = np.repeat(np.reshape(self.first, (1, -1, 4, 4)), n, axis=0)
        for hold in sorted(self.holds, key=lambda hold: hold.start):
            self._follow(objects[:, hold.thing], hold, times, wrists[hold.side])
        return Hands(wrists, angles), objects

    def _freedom(self, side: str, times: Array) -> Array:
        """Return factors (n, 1) on fingers' noise, which is small while they hold something."""
        held = np.zeros(len(times), bool)
        for hold in self.holds:
            if hold.side == side:
                held |= (times >= hold.start) & (times <= hold.end)
        return np.where(held, 0.1, 1.0)[:, None]

    def _follow(self, place: Array, hold: Hold, times: Array, wrist: Array) -> None:
        """Let an object's transforms (n, 4, 4) follow a hand, then rest."""
        during = (times >= hold.start) & (times < hold.end)
        after = times >= hold.end
        if during.any():
            begin = int(np.flatnonzero(during)[0])
            track = self._wrists[hold.side]
            inside = np.linalg.inv(track.sample(np.array([hold.start]))[0]) @ place[begin]
            place[during] = wrist[during] @ inside
        place[after] = hold.rest
