"""What playing a trial asks of an environment, beside Gymnasium's own interface."""

from typing import Any, NotRequired, Protocol, TypedDict, runtime_checkable

from numpy.typing import NDArray


class ResetOptions(TypedDict):
    """The options that ``reset`` is given."""

    trial: int
    """Number of the trial in the suite."""
    suite: str
    """Name of the suite, or the path of its folder."""
    hide_robot: NotRequired[bool]
    """Whether the goal is drawn without the robot; it is there only if it is."""


class StepInfo(TypedDict):
    """What the info of ``reset`` and ``step`` must hold; more is ignored."""

    distance: float
    """The criterion's distance now [m]."""
    gate: bool
    """Whether what the criterion asks beside the distance is so now."""
    success: bool
    """Whether the criterion has held for the last 10 steps."""


class PlayedTrial(Protocol):
    """The trial that an environment has been reset to."""

    @property
    def hash(self) -> str:
        """sha256 (hex) of the trial's content."""

    @property
    def seed(self) -> int:
        """Seed that agents get for this trial."""


class Pictures(Protocol):
    """The simulation, as far as every row names it; privileged agents use more of it."""

    @property
    def gl_renderer(self) -> str:
        """What OpenGL calls the renderer."""


@runtime_checkable
class Environment(Protocol):
    """The unwrapped environment that `trial.play` plays.

    ``trial`` and ``simulation`` are there after ``reset``. Observations are those that
    `dexbench.agents.base.Agent.act` is given. An agent's ``bind`` gets the same object.
    """

    trial: PlayedTrial
    """The current trial."""
    simulation: Pictures
    """The simulation of the current trial."""
    render_observations: bool
    """Whether steps render ``pixels``; while False they may repeat the last picture."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start the trial that the options (`ResetOptions`) name.

        Returns:
            The first observation, and info as in `StepInfo`.
        """

    def step(
        self, action: NDArray[Any]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Command joint targets (23,) float32 [rad] for one control step.

        Returns:
            Observation, reward, terminated, truncated, and info as in `StepInfo`.

        Raises:
            ValueError: The targets are not finite or out of bounds; nothing has changed.
        """

    def close(self) -> None:
        """Free what the environment holds."""
