"""Three robosuite-master features that RoboCasa needs and robosuite 1.5.2 lacks.

RoboCasa 1.0.1 is written against robosuite's development branch, which also calls itself 1.5.2. So
each feature is looked for by itself, and added only where it is missing:

* ``ManipulationEnv(load_model_on_init=False)``: an environment without its model;
* ``Task(enable_multiccd=, enable_sleeping_islands=)``: the matching flags of MJCF's ``<option>``;
* the base controller ``JOINT_VELOCITY_LEGACY``, here the same as ``JOINT_VELOCITY``.

Nothing else of robosuite is changed, and `import_robosuite` imports it where it would refuse.
"""

import contextlib
import functools
import importlib
import inspect
import io
import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from dexbench.utils.variables import variables

_DEFERRED = (
    "_load_model",
    "_initialize_sim",
    "initialize_renderer",
    "_reset_internal",
    "_setup_observables",
)


def _add_deferred_model() -> None:
    """Teach ``ManipulationEnv`` the argument ``load_model_on_init``."""
    from robosuite.environments.manipulation.manipulation_env import ManipulationEnv

    original = ManipulationEnv.__init__
    if "load_model_on_init" in inspect.signature(original).parameters:
        return

    @functools.wraps(original)
    def init(self: Any, *args: Any, load_model_on_init: bool = True, **kwargs: Any) -> None:
        self.sim = None
        if load_model_on_init:
            original(self, *args, **kwargs)
            return
        # Instance attributes hide the methods while the constructor runs, and only then.
        for name in _DEFERRED:
            setattr(self, name, dict if name == "_setup_observables" else lambda *_: None)
        try:
            original(self, *args, **kwargs)
        finally:
            for name in _DEFERRED:
                delattr(self, name)

    signature = inspect.signature(original)
    extra = inspect.Parameter(
        "load_model_on_init", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=bool
    )
    init.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), extra]
    )
    ManipulationEnv.__init__ = init


def _add_task_flags() -> None:
    """Teach ``Task`` the arguments ``enable_multiccd`` and ``enable_sleeping_islands``."""
    from robosuite.models.tasks.task import Task

    original = Task.__init__
    if "enable_multiccd" in inspect.signature(original).parameters:
        return

    @functools.wraps(original)
    def init(
        self: Any,
        *args: Any,
        enable_multiccd: bool = False,
        enable_sleeping_islands: bool = False,
        **kwargs: Any,
    ) -> None:
        original(self, *args, **kwargs)
        if enable_sleeping_islands:
            raise ValueError(
                "enable_sleeping_islands needs a newer robosuite and MuJoCo than the versions "
                "dexbench is tested with; leave it False"
            )
        if enable_multiccd:
            option = self.root.find("option")
            if option is None:
                option = ElementTree.SubElement(self.root, "option")
            flag = option.find("flag")
            if flag is None:
                flag = ElementTree.SubElement(option, "flag")
            flag.set("multiccd", "enable")

    parameters = list(inspect.signature(original).parameters.values())
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
        for name in ("enable_multiccd", "enable_sleeping_islands")
    ]
    init.__signature__ = inspect.Signature([*parameters, *extra])  # type: ignore[attr-defined]
    Task.__init__ = init


def _add_legacy_base_controller() -> None:
    """Teach the base controller factory the name ``JOINT_VELOCITY_LEGACY``."""
    from robosuite.controllers.parts import controller_factory

    original = controller_factory.mobile_base_controller_factory
    if "JOINT_VELOCITY_LEGACY" in inspect.getsource(original):
        return

    @functools.wraps(original)
    def factory(name: str, params: dict[str, Any]) -> Any:
        return original(name.removesuffix("_LEGACY"), params)

    # functools.wraps points inspect.getsource at the original, so the wrapper is told by its mark.
    if not getattr(original, "adds_legacy_name", False):
        factory.adds_legacy_name = True  # type: ignore[attr-defined]
        controller_factory.mobile_base_controller_factory = factory


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence robosuite's and RoboCasa's remarks at import (macro files, optional packages)."""

    def refuse(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logger = logging.getLogger("robosuite_logs")
    logger.addFilter(refuse)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.removeFilter(refuse)


def import_robosuite() -> ModuleType:
    """Import robosuite quietly, and whatever GPU the user lets MuJoCo render on.

    At its import robosuite 1.5.2 refuses a ``MUJOCO_EGL_DEVICE_ID`` that is not a part of
    ``CUDA_VISIBLE_DEVICES``. EGL counts GPUs by itself, so the two differ for good reason, and
    only MuJoCo's renderer, which dexbench uses, is to heed the first.
    """
    with variables({"MUJOCO_EGL_DEVICE_ID": None}), quiet():
        return importlib.import_module("robosuite")


def apply() -> None:
    """Add what this robosuite lacks; calling it again, or on robosuite's master, does nothing."""
    import_robosuite()
    _add_deferred_model()
    _add_task_flags()
    _add_legacy_base_controller()
