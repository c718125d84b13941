"""The one exception that is meant for the user and not for the developer."""


class UserError(Exception):
    """An error that the user can mend: what is wrong, the value, where it came from, and the mend.

    Entry points print its message without a traceback and exit with status 2.
    """
