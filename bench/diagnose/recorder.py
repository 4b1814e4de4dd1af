"""What is kept of a trial while it is played: observations, plans and where they began."""

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dexbench.agents.planning.waypoint_agent import WaypointAgent
    from dexbench.agents.reference.oracle import Oracle
    from dexbench.agents.reference.sim_cem import Moment


class Recorder:
    """The agent and its environment's last observation, decision by decision.

    Args:
        agent: Plays.
        env: Where it plays; unwrapped it is what privileged agents are bound to.
        oracle: Is shown where every decision begins, so that it can judge candidates afterwards;
            None where nothing is to be simulated. The agent never meets it.
    """

    def __init__(
        self,
        agent: "WaypointAgent",
        env: gymnasium.Env[Any, Any] | None = None,
        oracle: "Oracle | None" = None,
    ):
        self.agent, self._env, self._oracle = agent, env, oracle
        self.looks: list[dict[str, NDArray[Any]]] = []
        """Observations at the decisions."""
        self.plans: list[tuple[Any, Any]] = []
        """The plan of each decision and what it was based on."""
        self.moments: list[Moment] = []
        """Where the simulation stood at each of them, if there is an oracle."""

    def bind(self, env: Any) -> None:
        """Hand a privileged agent the environment."""
        self.agent.bind(env)  # type: ignore[attr-defined]

    def reset(self, task: str, seed: int) -> None:
        """Start a trial."""
        self.agent.reset(task, seed)
        if self._oracle is not None and self._env is not None:
            self._oracle.bind(self._env.unwrapped)
        self.looks, self.plans, self.moments = [], [], []

    def act(self, obs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Decide, and keep what the decision was made of."""
        chunk = self.agent.act(obs)
        self.looks.append(obs)
        self.plans.append((self.agent.last_plan, self.agent.last_context))
        if self._oracle is not None:
            self.moments.append(self._oracle.observe(obs))
            self._oracle.note(chunk)
        return chunk


class LastLook(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the latest observation, which at a trial's end no agent is shown."""

    def step(self, action: NDArray[Any]) -> Any:
        """As the environment's."""
        answer = self.env.step(action)
        self.last = answer[0]
        return answer
