"""Tries OpenGL in a process of its own: drivers crash and hang where no exception can be caught."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from dexbench.utils.errors import describe

BACKENDS = ("egl", "osmesa", "glfw")
"""Values of MUJOCO_GL."""
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "software rasterizer")
"""In the names of renderers that do without a GPU."""
SCENE = """<mujoco><worldbody><light pos="0 0 3"/>
<camera name="eye" pos="0 0 3"/><geom group="1" type="box" size="1 1 .1" rgba="1 0 0 1"/>
</worldbody></mujoco>"""
FRAMES = 20
"""Pictures that are timed."""
PROBE = "from dexbench.bench.machine.opengl import probe; probe()"
"""What the process runs."""


class Tried(NamedTuple):
    """A renderer that works."""

    renderer: str
    """OpenGL's name of it."""
    seconds: float
    """For a 224x392 frame of a plain box [s]."""
    vendor: str
    """OpenGL's name of who made it."""

    @property
    def software(self) -> bool:
        """Whether it does without a GPU."""
        return any(name in self.renderer.lower() for name in SOFTWARE)


def attempt(backend: str, timeout: float) -> Tried | str:
    """Render with a backend.

    Args:
        backend: Value of MUJOCO_GL.
        timeout: Longest time for all of it [s].

    Returns:
        What rendered, or in a line why nothing did.
    """
    environment = {**os.environ, "MUJOCO_GL": backend}
    command = [sys.executable, "-c", PROBE]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {timeout:g} s (a busy machine may need a longer --timeout)"
    if done.returncode < 0:
        return f"rendering crashed with {signal.Signals(-done.returncode).name}"
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        complaint = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return f"rendering ended with {complaint[-1]}"
    return result["error"] if "error" in result else Tried(**result)


def mend(backend: str, timeout: float) -> str:
    """Return how to mend a backend that does not render: use another, or install something."""
    for other in BACKENDS:
        if other != backend and isinstance(attempt(other, min(timeout, 20)), Tried):
            return f"`export MUJOCO_GL={other}`, which works here"
    return (
        "`apt-get install libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri`, or the GPU's driver with "
        "its OpenGL; unset MUJOCO_GL, MUJOCO_EGL_DEVICE_ID and PYOPENGL_PLATFORM"
    )


def mend_software(backend: str) -> str:
    """Return what to do where a backend renders by software though there is a GPU."""
    if backend == "osmesa":
        return "`export MUJOCO_GL=egl`: osmesa never uses the GPU"
    return (
        "install the driver's OpenGL (libnvidia-gl; in a container also "
        "NVIDIA_DRIVER_CAPABILITIES=all): /usr/share/glvnd/egl_vendor.d needs 10_nvidia.json"
    )


def probe() -> None:
    """Render a red box and print a `Tried` as JSON, or ``{"error": reason}``."""
    try:
        print(json.dumps(_render()._asdict()))
    except Exception as error:
        # Not the last line of stderr: half-made renderers complain there when they are deleted.
        print(json.dumps({"error": describe(error)}))


def _render() -> Tried:
    import mujoco

    from dexbench.envs.rendering import HeadCamera

    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = HeadCamera(model, camera="eye")
    picture = camera.render(data)
    red, green, blue = picture[picture.shape[0] // 2, picture.shape[1] // 2].tolist()
    if red <= max(green, blue):
        raise RuntimeError(f"a red box was rendered as RGB ({red}, {green}, {blue})")
    start = time.perf_counter()
    for _ in range(FRAMES):
        camera.render(data)
    seconds = (time.perf_counter() - start) / FRAMES
    return Tried(camera.gl_renderer, seconds, camera.gl_vendor)
