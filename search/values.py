"""Numbers and durations as people type them: `1e4`, `10k`, `10000`; `30m`, `1h30m`, `90`."""

import math
import re

from ..spaces.errors import WrongInput

_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_NUMBER = re.compile(r"(\d[\d_,]*(?:\.\d+)?(?:e[+-]?\d{1,3})?)([kmg]?)")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


MOST = 10**15
"""The largest number that a count of anything here can be, such as the elements of a model."""


def read_count(text: str, *, name: str) -> int:
    """Return a whole number of at least 1 from `1e4`, `10k` or `10_000`; `WrongInput` starts with `name`."""
    found = _NUMBER.fullmatch(text.strip().lower())
    value = float(found[1].replace(",", "").replace("_", "")) * _FACTORS[found[2]] if found else math.nan
    if not math.isfinite(value) or value != int(value):
        raise WrongInput(f"{name} {text}: wanted a whole number such as 10000, 1e4 or 10k")
    if not 1 <= value <= MOST:
        raise WrongInput(f"{name} {text}: must be at least 1{'' if value < 1 else f' and at most {short_count(MOST)}'}")
    return int(value)


def read_duration(text: str, *, name: str) -> float:
    """Return seconds, more than 0, from `30m`, `1h30m`, `45s` or plain seconds; `WrongInput` starts with `name`."""
    found = _DURATION.fullmatch(text.strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in found.groups()) if found else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if total <= 0:
        raise WrongInput(f"{name} {text}: wanted a duration such as 30m, 1h30m or 90s")
    return total


def short_count(count: int) -> str:
    """Return the shortest way to type a count: 10000 is 1e4, 12500 stays."""
    exponent = len(str(count)) - len(str(count).rstrip("0"))
    return f"{str(count)[:-exponent]}e{exponent}" if exponent >= 3 else str(count)
