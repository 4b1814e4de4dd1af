"""The ``generated`` asset pack: everything a RoboCasa kitchen needs that RoboCasa downloads.

Textures and object instances are made once, from seeds and from what robosuite ships, into a cache
folder; nothing is downloaded.
"""

from .cache import asset_root

__all__ = ["asset_root"]
