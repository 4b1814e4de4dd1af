"""The error that a user can mend."""


class UserError(ValueError):
    """Bad input from the user: the message names what was wrong, what was expected and the cure.

    The command line prints the message on one line of stderr, without a traceback, and exits
    with code 2.
    """
