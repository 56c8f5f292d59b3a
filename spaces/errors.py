"""The ways in which a command can go wrong, and what makes an error one actionable line."""

import difflib
from collections.abc import Iterable


class WrongInput(ValueError):
    """The user's input cannot be used. The message is one line: where, what was given, what was wanted, a way out."""


class Failure(RuntimeError):
    """The work itself failed although the input was fine. The message is one line with a way out."""


class Refused(Failure):
    """A record that can never be written down, wherever and whenever: what is wrong is in the record."""


class Away(Failure):
    """Something outside does not answer, and may come back by itself: a server that is begun again, a network that is cut."""


def did_you_mean(given: str, options: Iterable[str]) -> str:
    """Return `" Did you mean X?"` for the nearest of `options`, or an empty string when none is near."""
    near = difflib.get_close_matches(given, list(options), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def one_line(text: str) -> str:
    """Return the text with every run of white space as one space: what libraries say often spans lines."""
    return " ".join(text.split())


def reason(error: BaseException) -> str:
    """Return what an error complains about, for the middle of a line of ours: its first line, at most 200 characters.

    A system's error is told in the system's words without number and path, an error without words by its type.
    """
    told = (error.strerror if isinstance(error, OSError) else None) or str(error)
    lines = [one_line(line) for line in told.splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


def innermost(error: BaseException) -> BaseException:
    """Return what an error began with, such as `database is locked`, rather than the layers around it."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error
