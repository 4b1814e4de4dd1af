"""OpenGL contexts: whose they are, and who has them next.

robosuite's offscreen renderer draws into whatever OpenGL context is current, so two environments in
one process spoil each other's pictures. A thread may only draw with a context that is current in no
other, so that each use ends by giving the thread back what was current before.
"""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mujoco

from dexbench.utils.errors import UserError

SPARE = 2
"""Most contexts that are kept for the next renderer; a new one compiles its shaders anew."""
_owner: int | None = None
"""The process that first used OpenGL, among this one and those that it was forked from."""
_spare: "list[mujoco.GLContext]" = []
_made: "weakref.WeakSet[mujoco.GLContext]" = weakref.WeakSet()
"""All contexts that `take_context` has made."""
_uses = threading.local()
"""How many uses a thread is in, one within the other."""


def claim_opengl() -> None:
    """Refuse a process that was forked from one that renders: OpenGL would hang in it.

    Raises:
        UserError: This is such a process.
    """
    global _owner
    if _owner not in (None, os.getpid()):
        raise UserError(
            "this process was forked from one that has rendered, and OpenGL would hang in it; "
            'spawn it instead: gymnasium.make_vec(..., vector_kwargs={"context": "spawn"})'
        )
    _owner = os.getpid()


def owns_opengl() -> bool:
    """Return whether this process itself has used OpenGL, not one that it was forked from."""
    return _owner == os.getpid()


def take_context(width: int, height: int) -> "mujoco.GLContext":
    """Return a context that nobody uses: one given back, or a new one.

    Args:
        width: Columns in px, which a new one is told.
        height: Rows in px.
    """
    try:
        return _spare.pop()
    except IndexError:
        context = mujoco.GLContext(width, height)
        _made.add(context)
        return context


def return_context(context: "mujoco.GLContext") -> None:
    """Give back a context in which nothing is left."""
    if len(_spare) < SPARE:
        _spare.append(context)
    else:
        context.free()


def free_spare_contexts() -> None:
    """Free the contexts that wait for a renderer."""
    while _spare:
        _spare.pop().free()


@contextmanager
def given_back() -> Iterator[None]:
    """At the end, make current again what was before: another's context, or none.

    One of ours is current only while it is used. If it was left so, no other thread could draw.
    """
    kind = mujoco.gl_context.GLContext.__module__
    if kind == "mujoco.egl":
        from mujoco.egl import EGL
        from OpenGL.error import GLError

        # Until a thread asks for OpenGL, EGL tells it of OpenGL ES.
        EGL.eglBindAPI(EGL.EGL_OPENGL_API)
        context, display = EGL.eglGetCurrentContext(), EGL.eglGetCurrentDisplay()
        draw, read = (EGL.eglGetCurrentSurface(use) for use in (EGL.EGL_DRAW, EGL.EGL_READ))
        outer = getattr(_uses, "count", 0)
        if not outer and _is_ours(context):
            draw = read = EGL.EGL_NO_SURFACE
            context = EGL.EGL_NO_CONTEXT
        _uses.count = outer + 1
        try:
            yield
        finally:
            _uses.count = outer
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


def _is_ours(handle: Any) -> bool:
    """Return whether an EGL context is one that `take_context` has made."""
    ours = (context._context for context in list(_made))
    return bool(handle) and any(own and own.address == handle.address for own in ours)
