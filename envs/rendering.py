"""The head camera's renderer: one per loaded model, never robosuite's.

robosuite's offscreen renderer draws into whatever OpenGL context is current, so two environments in
one process spoil each other's pictures. MuJoCo's own renderer makes its context current each time.
A thread may only draw with a context that is current in no other, so that each use ends by giving
the thread back what was current before.
"""

import atexit
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH
from dexbench.utils.errors import UserError

CAMERA = "robot0_head"
DRAWN_GROUP, HIDDEN_GROUP = 1, 5
"""MuJoCo's groups of the geoms that are drawn, and of those that are not for one picture."""
_owner: int | None = None
"""The process that first used OpenGL, among this one and those that it was forked from."""


def _claim_opengl() -> None:
    """Refuse a process that was forked from one that renders: OpenGL would hang in it."""
    global _owner
    if _owner not in (None, os.getpid()):
        raise UserError(
            "this process was forked from one that has rendered, and OpenGL would hang in it; "
            'spawn it instead: gymnasium.make_vec(..., vector_kwargs={"context": "spawn"})'
        )
    _owner = os.getpid()


_open: weakref.WeakSet["HeadCamera"] = weakref.WeakSet()


def _close_open() -> None:
    """Close what nobody has closed, before the interpreter takes OpenGL down."""
    if _owner == os.getpid():
        for camera in list(_open):
            camera.close()


@contextmanager
def _given_back() -> Iterator[None]:
    """At the end, make current again what was before: another context, or none."""
    kind = mujoco.gl_context.GLContext.__module__
    if kind == "mujoco.egl":
        from mujoco.egl import EGL
        from OpenGL.error import GLError

        # Until a thread asks for OpenGL, EGL tells it of OpenGL ES.
        EGL.eglBindAPI(EGL.EGL_OPENGL_API)
        context, display = EGL.eglGetCurrentContext(), EGL.eglGetCurrentDisplay()
        draw, read = (EGL.eglGetCurrentSurface(use) for use in (EGL.EGL_DRAW, EGL.EGL_READ))
        try:
            yield
        finally:
            EGL.eglBindAPI(EGL.EGL_OPENGL_API)
            display = display or mujoco.egl.EGL_DISPLAY
            try:
                EGL.eglMakeCurrent(display, draw, read, context)
            except GLError:  # Its owner destroyed it while it was current: now none is.
                none = EGL.EGL_NO_SURFACE
                EGL.eglMakeCurrent(display, none, none, EGL.EGL_NO_CONTEXT)
    elif kind == "mujoco.glfw":
        import glfw

        glfw.init()
        window = glfw.get_current_context()
        try:
            yield
        finally:
            glfw.make_context_current(window)
    else:  # OSMesa draws into plain memory, and takes a context from whichever thread has it.
        yield


class HeadCamera:
    """Renders what the robot's head camera sees.

    Args:
        model: The compiled scene; its multisampling and shadows are switched off for speed.
        height: Rows in px.
        width: Columns in px.
        camera: Camera name.

    Raises:
        UserError: This process was forked from one that has rendered.
    """

    @_given_back()
    def __init__(
        self, model: mujoco.MjModel, height: int = HEIGHT, width: int = WIDTH, camera: str = CAMERA
    ):
        _claim_opengl()
        model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        self._renderer = mujoco.Renderer(model, height, width)
        # Exit functions run last come, first served, and MuJoCo's came with the first renderer.
        atexit.unregister(_close_open)
        atexit.register(_close_open)
        _open.add(self)
        self._name = camera
        self._groups = model.geom_group
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[DRAWN_GROUP] = 1
        self._option.sitegroup[:] = 0
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = False

    @_given_back()
    def render(
        self, data: mujoco.MjData, hidden: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """RGB image (height, width, 3) uint8, upright.

        Args:
            data: The state to draw.
            hidden: Mask (ngeom,) of the geoms that are not drawn.
        """
        self._update(data, hidden)
        picture: NDArray[np.uint8] = self._renderer.render().copy()
        return picture

    @_given_back()
    def segment(
        self, data: mujoco.MjData, hidden: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int32]:
        """Geom id of each pixel (height, width) int32; -1 where there is none.

        Args:
            data: The state to draw.
            hidden: Mask (ngeom,) of the geoms that are not drawn.
        """
        self._renderer.enable_segmentation_rendering()
        self._update(data, hidden)
        ids = self._renderer.render()
        self._renderer.disable_segmentation_rendering()
        return np.where(ids[..., 1] == mujoco.mjtObj.mjOBJ_GEOM, ids[..., 0], -1)

    def _update(self, data: mujoco.MjData, hidden: NDArray[np.bool_] | None) -> None:
        """Collect what is drawn."""
        groups = self._groups.copy()
        try:
            if hidden is not None:
                self._groups[hidden] = HIDDEN_GROUP
            self._renderer.update_scene(data, self._name, self._option)
        finally:
            self._groups[:] = groups

    @property
    def gl_renderer(self) -> str:
        """OpenGL's name of the renderer."""
        from OpenGL import GL

        return self._gl_string(GL.GL_RENDERER)

    @property
    def gl_vendor(self) -> str:
        """Who made the OpenGL that renders."""
        from OpenGL import GL

        return self._gl_string(GL.GL_VENDOR)

    @_given_back()
    def _gl_string(self, name: int) -> str:
        from OpenGL import GL

        self._renderer._gl_context.make_current()
        text: str = GL.glGetString(name).decode()
        return text

    @_given_back()
    def close(self) -> None:
        """Free the context's objects in that context, then the context."""
        context = self._renderer._mjr_context
        if context is not None and self._renderer._gl_context is not None:
            # OSMesa frees in whatever context is current, so make it ours first.
            self._renderer._gl_context.make_current()
            context.free()
            self._renderer._mjr_context = None
        self._renderer.close()

    def __del__(self) -> None:
        # MuJoCo's own way would free in whatever context is current, and spoil a neighbour's.
        if hasattr(self, "_renderer") and _owner == os.getpid():
            self.close()
