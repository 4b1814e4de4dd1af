"""The error that a user can mend."""


class UserError(ValueError):
    """Bad input from the user: the message names what was wrong, what was expected and the cure.

    The command line prints the message on one line of stderr, without a traceback, and exits
    with code 2.
    """


def at_least(least: float, **options: float | None) -> None:
    """Refuse options below a number; None is none.

    Args:
        least: The number.
        **options: By their names on the command line, with underscores.

    Raises:
        UserError: One is smaller, or not a number.
    """
    for name, value in options.items():
        if value is not None and not value >= least:
            raise UserError(f"--{name.replace('_', '-')} is {value}, expected at least {least:g}")


def describe(exception: BaseException) -> str:
    """Return the exception's type and the first line of its message, at most 300 characters."""
    lines = str(exception).strip().splitlines()
    name = type(exception).__name__
    return (f"{name}: {lines[0]}" if lines else name)[:300]
