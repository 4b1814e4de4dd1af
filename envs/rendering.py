"""The head camera's renderer: one per loaded model, never robosuite's."""

import atexit
import sys
import weakref

import mujoco
import numpy as np
from numpy.typing import NDArray

from dexbench.envs.embodiment.camera import HEIGHT, WIDTH

from .opengl import (
    claim_opengl,
    free_spare_contexts,
    given_back,
    owns_opengl,
    return_context,
    take_context,
)

CAMERA = "robot0_head"
DRAWN_GROUP, HIDDEN_GROUP = 1, 5
"""MuJoCo's groups of the geoms that are drawn, and of those that are not for one picture."""
_open: weakref.WeakSet["HeadCamera"] = weakref.WeakSet()


def _close_open() -> None:
    """Close what nobody has closed, before the interpreter takes OpenGL down."""
    if owns_opengl():
        for camera in list(_open):
            camera.close()
        free_spare_contexts()


class _Renderer(mujoco.Renderer):  # type: ignore[misc]  # MuJoCo has no types of it
    """MuJoCo's renderer, in an OpenGL context that may have been another's.

    Args:
        model: The compiled scene.
        height: Rows in px.
        width: Columns in px.
    """

    def __init__(self, model: mujoco.MjModel, height: int, width: int):
        # As in `mujoco.Renderer`, which always opens a new context.
        self._model, self._height, self._width = model, height, width
        self._scene = mujoco.MjvScene(model=model, maxgeom=10000)
        self._scene_option = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._gl_context = take_context(width, height)
        self._gl_context.make_current()
        self._mjr_context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._mjr_context)
        self._mjr_context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._depth_rendering = self._segmentation_rendering = False

    def geoms(self) -> NDArray[np.int32]:
        """Return the geom id of each pixel (height, width) int32 of the scene; -1 where none is.

        MuJoCo's own takes several times as long as the drawing.
        """
        scene, size = self._scene, (self._height, self._width)
        colours = np.empty((*size, 3), np.uint8)
        self._gl_context.make_current()
        flags = scene.flags.copy()
        for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
            scene.flags[flag] = True
        mujoco.mjr_render(self._rect, scene, self._mjr_context)
        scene.flags[:] = flags
        mujoco.mjr_readPixels(colours, None, self._rect, self._mjr_context)
        # A colour is the drawn geom's number in the scene, from 1; the background is black.
        drawn = np.full(scene.ngeom + 1, -1, np.int32)
        for geom in scene.geoms[: scene.ngeom]:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                drawn[geom.segid + 1] = geom.objid
        numbers = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        return drawn[np.flipud(numbers)]

    def close(self) -> None:
        """Free what is in the context, in that context, then give the context back."""
        if self._gl_context is not None and self._mjr_context is not None:
            # MuJoCo frees in whatever context is current, and would spoil a neighbour's.
            self._gl_context.make_current()
            self._mjr_context.free()
            return_context(self._gl_context)
        self._gl_context = self._mjr_context = None

    def __del__(self) -> None:
        """Leave it to the camera to close."""


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

    @given_back()
    def __init__(
        self, model: mujoco.MjModel, height: int = HEIGHT, width: int = WIDTH, camera: str = CAMERA
    ):
        claim_opengl()
        model.vis.quality.offsamples = 0
        model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
        model.vis.global_.offheight = max(height, model.vis.global_.offheight)
        self._renderer = _Renderer(model, height, width)
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

    @given_back()
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

    @given_back()
    def segment(
        self, data: mujoco.MjData, hidden: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int32]:
        """Geom id of each pixel (height, width) int32; -1 where there is none.

        Args:
            data: The state to draw.
            hidden: Mask (ngeom,) of the geoms that are not drawn.
        """
        self._update(data, hidden)
        return self._renderer.geoms()

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

    @given_back()
    def _gl_string(self, name: int) -> str:
        from OpenGL import GL

        self._renderer._gl_context.make_current()
        text: str = GL.glGetString(name).decode()
        return text

    @given_back()
    def close(self) -> None:
        """Free the renderer; its OpenGL context is kept for the next."""
        self._renderer.close()

    def __del__(self) -> None:
        # A process that ends gives all back by itself, and can import nothing any more.
        if hasattr(self, "_renderer") and owns_opengl() and not sys.is_finalizing():
            self.close()
