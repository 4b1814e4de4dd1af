"""Exploration recorded by script, the store that keeps it, and readers of other recordings.

This is the package's public face; `__init__.pyi` lists it. Nothing is imported before it is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
