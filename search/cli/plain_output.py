"""Output where not every character can be shown: what stands for it is printed, and nothing breaks."""

import codecs
import io
import sys

PLAIN = {
    "±": "+/-",
    "–": "-",
    "·": "-",
    "…": "...",
    "²": "^2",
    "×": "x",
    "σ": "sigma",
    "Δ": "Delta",
    "α": "alpha",
    "ν": "nu",
    "⊙": "*",
}
ERRORS = "ulpt-search-plain"


def print_what_can_be_shown() -> None:
    """From now on, characters that stdout or stderr cannot encode are printed as plain ones, or as question marks."""
    codecs.register_error(ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(character, "?") for character in error.object[error.start : error.end]), error.end
