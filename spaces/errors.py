"""The two ways a command can go wrong, and the hint that makes an error actionable."""

import difflib
from collections.abc import Iterable


class WrongInput(ValueError):
    """The user's input cannot be used. The message is one line: where, what was given, what was wanted, a way out."""


class Failure(RuntimeError):
    """The work itself failed although the input was fine. The message is one line with a way out."""


def did_you_mean(given: str, options: Iterable[str]) -> str:
    """Return `" Did you mean X?"` for the nearest of `options`, or an empty string when none is near."""
    near = difflib.get_close_matches(given, list(options), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""
