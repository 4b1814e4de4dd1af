"""Arguments of a user's class, as ``KEY=VALUE`` on the command line."""

import ast
from collections.abc import Iterable
from typing import Any

from dexbench.utils.errors import UserError


def keyword_arguments(pairs: Iterable[str], option: str) -> dict[str, Any]:
    """Return keyword arguments, by name; a value that is no Python literal is a string.

    Args:
        pairs: Each ``KEY=VALUE``.
        option: Where they were given, for the message.

    Raises:
        UserError: One is no such pair, or a key is there twice.
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier() or key in arguments:
            raise UserError(f"{option} has {pair!r}, expected KEY=VALUE with each key once")
        try:
            arguments[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            arguments[key] = value
    return dict(sorted(arguments.items()))
