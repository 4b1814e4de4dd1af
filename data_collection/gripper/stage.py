"""What the gripper does in one clip: take, carry, drop, push, open, close and wander."""

from dataclasses import dataclass

import numpy as np

from dexbench.data_collection.scripted.counter import Counter
from dexbench.data_collection.scripted.motion import Hold, Track, drift, quiet
from dexbench.data_collection.scripted.objects import NoGrasp
from dexbench.data_collection.scripted.poses import UP, Array, axes, pose, turns
from dexbench.envs.embodiment.robot import CONTROL_HZ
from dexbench.envs.scenes.layouts import COUNTER_HEIGHT

from .arm import OPEN

LONG = 9.0
"""Time in s after which nothing new begins."""
WIDEST = 0.072
"""Width in m of what the gripper takes."""


@dataclass
class GripperStage(Counter):
    """A gripper over a counter; see `Counter` for the arguments."""

    def __post_init__(self) -> None:
        self.first = list(self.places)
        self.clock = float(self.rng.uniform(0.1, 0.6))
        self.holds: list[Hold] = []
        self.pace = float(self.rng.uniform(0.9, 1.3))
        self._quiet: list[tuple[float, float]] = []
        self._tool = Track(self._somewhere())
        self._width = Track(np.array([self.rng.uniform(0.3, 1.0) * OPEN]))

    def run(self) -> None:
        """Do one thing after the other."""
        actions = (self._pick_place, self._pick_place, self._push, self._wander, self._squeeze)
        while self.clock < LONG:
            try:
                actions[int(self.rng.integers(len(actions)))]()
            except NoGrasp:
                self._wander()

    def _down(self, yaw: float) -> Array:
        """Return a gripper that points down, tilted a little, its fingers moving along ``yaw``."""
        z = -UP + self.rng.normal(0, 0.08, 3)
        # Half a turn changes nothing for the fingers, and may be beyond the last joint's range.
        across = turns("z", (yaw + np.pi / 2) % np.pi - np.pi / 2) @ np.array([-1.0, 0.0, 0.0])
        z = z / np.linalg.norm(z)
        x = across - (across @ z) * z
        return axes(x, z)

    def _somewhere(self) -> Array:
        x = self.stand[0] + self.rng.uniform(-0.3, 0.3)
        place = np.array([x, self.rng.uniform(-0.55, -0.36), self.rng.uniform(1.05, 1.25)])
        return pose(self._down(self.rng.uniform(-0.7, 0.7)), place)

    def _go(self, goal: Array, lap: float = 0.0) -> float:
        last, start = self._tool.last, self.clock
        far = float(np.linalg.norm(goal[:3, 3] - last[:3, 3]))
        turned = np.arccos(np.clip((np.trace(last[:3, :3].T @ goal[:3, :3]) - 1) / 2, -1, 1))
        end = start + (0.5 + 2.2 * far + 0.45 * float(turned)) * self.pace
        end = max(end, self._tool.steps[-1].end if self._tool.steps else 0.0)
        self._tool.move(start, end, goal)
        self.clock = end - lap * (end - start)
        return end

    def _grip(self, width: float) -> None:
        """Bring the fingers ``width`` m apart."""
        end = self.clock + float(self.rng.uniform(0.4, 0.6))
        self._width.move(self.clock, end, np.array([np.clip(width / 2, 0, OPEN)]))
        self.clock = end + 0.1

    def _over(self, place: Array, by: float) -> Array:
        raised = place.copy()
        raised[2, 3] += by
        return raised

    def _pick_place(self) -> None:
        thing = int(self.rng.integers(len(self.solids)))
        there, solid = self.places[thing], self.solids[thing]
        goal = self.spot(thing)
        if goal is None:
            self._wander()
            return
        world = solid.points @ there[:3, :3].T + there[:3, 3]
        top = world[:, 2].max()
        level = max(COUNTER_HEIGHT + 0.014, top - self.rng.uniform(0.025, 0.04))
        band = world[np.abs(world[:, 2] - level) < 0.02]
        yaws = np.linspace(-1.5, 1.5, 13) + self.rng.uniform(-0.1, 0.1)
        spans = [np.ptp(band[:, :2] @ [np.cos(a), np.sin(a)]) for a in yaws]
        best = int(np.argmin(np.array(spans) + 0.012 * np.abs(yaws)))
        if spans[best] > WIDEST:
            raise NoGrasp("too wide")
        middle = (band[:, :2].max(0) + band[:, :2].min(0)) / 2
        take = pose(self._down(yaws[best]), np.array([*middle, level]))
        self._width.move(self.clock, self.clock + 0.5, np.array([OPEN]))
        self._go(self._over(take, self.rng.uniform(0.07, 0.12)), lap=0.15)
        touch = self._go(take)
        self.clock = touch
        self._grip(spans[best])
        since = self.clock - 0.1
        self._quiet.append((touch - 0.1, since + 0.1))
        inside = np.linalg.inv(take) @ there
        rise = float(self.rng.uniform(0.06, 0.2))
        self._go(self._over(take, rise), lap=0.3)
        put = goal @ np.linalg.inv(inside)
        self._go(self._over(put, rise), lap=0.25)
        down = self._go(put)
        self.holds.append(Hold(thing, "right", since, down, goal))
        self.places[thing] = goal
        self._quiet.append((down - 0.1, down + 0.5))
        self._grip(2 * OPEN)
        self._go(self._over(put, rise), lap=0.3)

    def _push(self) -> None:
        thing = int(self.rng.integers(len(self.solids)))
        there, solid = self.places[thing], self.solids[thing]
        angle = self.rng.uniform(-np.pi, np.pi)
        way = np.array([np.cos(angle), np.sin(angle), 0.0])
        far = min(self.slack(thing, way), float(self.rng.uniform(0.06, 0.2)))
        if far < 0.05:
            self._wander()
            return
        level = COUNTER_HEIGHT + max(0.02, min(0.5 * solid.height, 0.05))
        local = solid.points @ there[:3, :3].T
        side = np.abs(local @ np.array([-way[1], way[0], 0])) < 0.02
        back = float((local[side] @ way).min()) if side.any() else -solid.radius
        turn = self._down(angle + np.pi / 2)
        contact = np.array([*(there[:2, 3] + (back - 0.014) * way[:2]), level])
        self._grip(0.0)
        self._go(self._over(pose(turn, contact - 0.05 * way), 0.1), lap=0.2)
        self._go(pose(turn, contact - 0.04 * way))
        touch = self._go(pose(turn, contact))
        done = self._go(pose(turn, contact + far * way))
        rest = pose(there[:3, :3], there[:3, 3] + far * way)
        self.holds.append(Hold(thing, "right", touch, done, rest))
        self.places[thing] = rest
        self._quiet.append((touch - 0.1, done + 0.1))
        self._go(self._over(pose(turn, contact + (far - 0.03) * way), 0.1), lap=0.2)

    def _wander(self) -> None:
        self._go(self._somewhere(), lap=0.2)

    def _squeeze(self) -> None:
        for _ in range(int(self.rng.integers(1, 4))):
            self._grip(float(self.rng.choice([0.0, 2 * OPEN, self.rng.uniform(0, 2 * OPEN)])))

    def play(self) -> tuple[Array, Array, Array]:
        """Return times (n,) in s, tool transforms (n, 4, 4) and fingers' ways (n,) in m."""
        times = np.arange(int(np.ceil((self.clock + 0.3) * CONTROL_HZ))) / CONTROL_HZ
        tool, loud = self._tool.sample(times), quiet(times, self._quiet)[:, None]
        tool[:, :3, 3] += loud * drift(self.rng, len(times), 3, 0.5) * 0.003
        return times, tool, self._width.sample(times)[:, 0]

    def objects(self, times: Array, tool: Array) -> Array:
        """Return the objects' transforms (n, k, 4, 4) for where the tool (n, 4, 4) was."""
        places = np.repeat(np.reshape(self.first, (1, -1, 4, 4)), len(times), axis=0)
        for hold in self.holds:
            during = (times >= hold.start) & (times < hold.end)
            if during.any():
                begin = int(np.flatnonzero(during)[0])
                inside = np.linalg.inv(tool[begin]) @ places[begin, hold.thing]
                places[during, hold.thing] = tool[during] @ inside
            places[times >= hold.end, hold.thing] = hold.rest
        return places
