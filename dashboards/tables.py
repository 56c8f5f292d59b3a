"""What the commands print, as rich tables that fit 80 columns and say more on wider terminals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from .curve import Curve
from .rows import MethodRow, PlanRow, RuleRow, StudyRow, TrialRow, frontier_rows

WRAP = 16
"""Columns that a wrapping column keeps at least, as long as other text can give way."""
SHORTEST = 6


@dataclass(frozen=True)
class Column:
    """One column of a table: the row field it shows, its heading, and the width from which it is shown."""

    field: str
    title: str
    number: bool = False
    wraps: bool = False
    """Takes the room that is left, over several lines where needed; other columns take what their texts need."""
    from_width: int = 0


FRONTIER = (
    Column("trial", "trial", number=True),
    Column("method", "method"),
    Column("parameters", "parameters", number=True),
    Column("bytes", "bytes", number=True, from_width=100),
    Column("validation", "valid.", number=True),
    Column("test", "test, 95 %", number=True),
    Column("others", "other metrics", from_width=140),
    Column("not_told_from", "not told from", from_width=120),
    Column("seed", "seed", number=True, from_width=100),
    Column("hyperparameters", "hyperparameters", wraps=True),
)
TRIALS = (
    Column("trial", "trial", number=True),
    Column("method", "method"),
    Column("parameters", "parameters", number=True),
    Column("seed", "seed", number=True, from_width=100),
    Column("state", "state"),
    Column("step", "step", number=True),
    Column("score", "score", number=True),
    Column("others", "other metrics", from_width=140),
    Column("note", "hyperparameters, or error", wraps=True),
)
STUDIES = (
    Column("study", "study"),
    Column("task", "task"),
    Column("model", "model", wraps=True),
    Column("budget", "budget", number=True),
    Column("trials", "trials", number=True),
    Column("best", "best", number=True),
    Column("created", "created", number=True, from_width=100),
)
METHODS = (
    Column("method", "method"),
    Column("floor", "floor", number=True),
    Column("packs", "packs"),
    Column("exports", "exports"),
    Column("formula", "parameters and source", wraps=True),
    Column("axes", "axes", wraps=True),
)
RULES = (
    Column("rule", "rule"),
    Column("formula", "trains, and source", wraps=True),
    Column("axes", "axes", wraps=True),
)
PLAN = (
    Column("method", "method"),
    Column("smallest", "smallest", number=True),
    Column("largest", "largest", number=True),
    Column("feasible", "fits"),
    Column("why", "why not, and the way out", wraps=True),
)


def frontier_table(curve: Curve, *, width: int | None) -> RenderableType:
    """Return the frontier as a table, smallest first."""
    return table(FRONTIER, frontier_rows(curve), width=width)


def trials_table(rows: Sequence[TrialRow], *, width: int | None) -> RenderableType:
    """Return the trials of one study as a table."""
    return table(TRIALS, rows, width=width)


def studies_table(rows: Sequence[StudyRow], *, width: int | None) -> RenderableType:
    """Return the studies of a ledger as a table."""
    return table(STUDIES, rows, width=width)


def methods_table(rows: Sequence[MethodRow], *, width: int | None) -> RenderableType:
    """Return the catalogue as a table."""
    return table(METHODS, rows, width=width)


def rules_table(rows: Sequence[RuleRow], *, width: int | None) -> RenderableType:
    """Return the training rules as a table."""
    return table(RULES, rows, width=width)


def plan_table(rows: Sequence[PlanRow], *, width: int | None) -> RenderableType:
    """Return what fits under the budget as a table."""
    return table(PLAN, rows, width=width)


def table(columns: Sequence[Column], rows: Sequence[object], *, width: int | None) -> RenderableType:
    """Lay `rows` out under those of `columns` that are shown at `width` terminal columns; no text is read as markup.

    Where room is short, columns that wrap give way first, then other text, never a number; nothing is cut off. Without a
    width everything is shown, one line a row.
    """
    return _unwrapped(columns, rows) if width is None else _fitted(columns, rows, width)


def _unwrapped(columns: Sequence[Column], rows: Sequence[object]) -> Text:
    """A heading, then one line a row, in columns; a table of rich's would take a minute for 20,000 rows."""
    cells = [[column.title for column in columns], *([_one_line(getattr(row, column.field)) for column in columns] for row in rows)]
    widths = [max(map(cell_len, texts)) for texts in zip(*cells, strict=True)]
    return Text("\n".join(_line(columns, texts, widths) for texts in cells), no_wrap=True, overflow="ignore")


def _one_line(text: str) -> str:
    return " · ".join(text.splitlines())


def _line(columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    """The texts, numbers to the right, two blanks apart, nothing behind the last."""
    gaps = [" " * (width - cell_len(text)) for text, width in zip(texts, widths, strict=True)]
    parts = [f"{gap}{text}" if column.number else f"{text}{gap}" for column, text, gap in zip(columns, texts, gaps, strict=True)]
    return "  ".join(parts).rstrip()


def _fitted(columns: Sequence[Column], rows: Sequence[object], width: int) -> Table:
    shown = [column for column in columns if column.from_width <= width]
    longest = {column.field: max(cell_len(cell) for cell in _cells(column, rows)) for column in shown}
    cap = _text_cap(shown, longest, width)
    drawn = Table(box=SIMPLE_HEAD, show_edge=False, width=width, pad_edge=False, padding=(0, 1, 0, 0))
    for column in shown:
        drawn.add_column(
            column.title,
            justify="right" if column.number else "left",
            no_wrap=column.number,
            overflow="fold",
            ratio=1 if column.wraps else None,
            width=None if column.wraps else longest[column.field] if column.number else min(longest[column.field], cap),
        )
    for row in rows:
        drawn.add_row(*(Text(getattr(row, column.field)) for column in shown))
    return drawn


def _cells(column: Column, rows: Sequence[object]) -> list[str]:
    """The column's texts, heading included, line by line."""
    return [line for text in (column.title, *(getattr(row, column.field) for row in rows)) for line in (text.splitlines() or [""])]


def _text_cap(shown: Sequence[Column], longest: Mapping[str, int], width: int) -> int:
    """The most that a column of text may take, so that numbers stay whole and every wrapping column keeps `WRAP`."""
    texts = [column for column in shown if not column.number and not column.wraps]
    taken = sum(longest[column.field] for column in shown if column.number)
    gaps = 2 * (len(shown) - 1)
    left = width - taken - gaps - WRAP * sum(column.wraps for column in shown)
    return max(SHORTEST, left // max(1, len(texts)), left - sum(longest[column.field] for column in texts[1:]))
