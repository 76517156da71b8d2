"""The two ways in which a script ends before its work is done."""


class UserError(Exception):
    """A mistake the user can mend: what happened (with the value seen) and what to do."""

    def __init__(self, message: str, hint: str):
        """Keeps both lines; `run` prints them as `error:` and `hint:`."""
        super().__init__(message)
        self.hint = hint


class Interrupted(Exception):  # noqa: N818 - nothing is wrong: the user asked for it
    """Training left early on SIGINT or SIGTERM, after saving everything."""
