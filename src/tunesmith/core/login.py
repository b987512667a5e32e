"""Who runs this process, for what is signed: steps, reviews, the audit log."""

import getpass


def login_name() -> str | None:
    """The user's name; None where there is none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
