"""The error that a user can mend, and what other exceptions say, whatever raised them."""

import traceback


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


def message(exception: BaseException) -> str:
    """Return the exception's message as text that UTF-8 can hold.

    It never fails: an exception of a user's class may not be able to say what it is.
    """
    try:
        return printable(str(exception))
    except Exception as error:
        return f"its message cannot be made ({type(error).__name__})"


def describe(exception: BaseException) -> str:
    """Return the exception's type and the first line of its message, at most 300 characters.

    It never fails, and UTF-8 can hold what it returns.
    """
    lines = message(exception).strip().splitlines()
    name = type(exception).__name__
    return (f"{name}: {lines[0]}" if lines else name)[:300]


def full_traceback(exception: BaseException) -> str:
    """Return the exception's traceback, or its description where no traceback can be made.

    It never fails, and UTF-8 can hold what it returns.
    """
    try:
        return printable("".join(traceback.format_exception(exception)))
    except Exception:
        return describe(exception) + "\n"


def printable(text: str) -> str:
    """Return the text with what UTF-8 cannot hold, lone surrogates, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
