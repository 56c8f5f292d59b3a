"""How numbers and configurations are written, the same in every table, plot and page."""

import shlex
from collections.abc import Mapping

from ..spaces.axes import Axis, Choice, Hyperparameters, Value
from ..spaces.records import Point

DEFAULT_HOME = "ulpt-search-home"


def count(number: int) -> str:
    """`9216` -> `9,216`."""
    return f"{number:,}"


def metric(score: float) -> str:
    """A score with three decimals: more would claim a precision that no split has."""
    return f"{score:.3f}"


def value(of: Value) -> str:
    """A hyperparameter's value: floats to three significant digits, switches as yes and no."""
    if isinstance(of, bool):
        return "yes" if of else "no"
    return f"{of:.3g}" if isinstance(of, float) else str(of)


def configuration(hyperparameters: Hyperparameters) -> str:
    """`dim=8 prompt_length=10 lr=0.0032`, in the order given."""
    return " ".join(f"{name}={value(given)}" for name, given in hyperparameters.items())


def axis(of: Axis | Value) -> str:
    """`2–256 log`, `a | b`, or the fixed value."""
    if isinstance(of, Choice):
        return " | ".join(value(option) for option in of.options)
    if isinstance(of, int | float | str):
        return value(of)
    return f"{value(of.low)}–{value(of.high)}{' log' if of.log else ''}"


def mean_over_seeds(point: Point) -> str:
    """`0.652 [0.631, 0.673]` over fresh seeds on the test split, or a dash before the finals."""
    if point.test_score is None or point.test_low is None or point.test_high is None:
        return "–"
    return f"{metric(point.test_score)} [{metric(point.test_low)}, {metric(point.test_high)}]"


def others(metrics: Mapping[str, float] | None) -> str:
    """Further metrics: `f1 0.712, log_loss 0.903`, or a dash."""
    return ", ".join(f"{name} {metric(value)}" for name, value in (metrics or {}).items()) or "–"


def duration(seconds: float) -> str:
    """`75` -> `1:15`; with hours `1:01:15`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size(number: int) -> str:
    """Bytes as a person reads them: `812 B`, `3.2 KB`, `1.5 MB` (powers of 1000)."""
    if number < 1000:
        return f"{number} B"
    return f"{number / 1e3:.1f} KB" if number < 1e6 else f"{number / 1e6:.1f} MB"


def shorten(text: str, length: int) -> str:
    """The text, its end replaced by an ellipsis where it is longer than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def shell(text: str) -> str:
    """The text as one word of a shell command."""
    return shlex.quote(text)


def command(line: str, *, home: str = "") -> str:
    """`ulpt-search LINE`, naming the home where it is not the default one."""
    return f"ulpt-search {line}" if home in ("", DEFAULT_HOME) else f"ulpt-search {line} --home {shell(home)}"


def export_command(study: str, trial: int, *, home: str = "") -> str:
    """The command that writes one point's adapter, as stock PEFT loads it where that is exact."""
    folder = shell(f"{study}-trial-{trial}")
    return command(f"export {shell(study)} --trial {trial} --out {folder}", home=home)
