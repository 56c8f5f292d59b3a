"""The curve as a few lines of terminal text: one letter per method, capitals on the frontier, a step line through them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.text import Text

from ..spaces.records import Point
from .curve import Curve
from .words import count, metric

GUTTER = 8
"""Columns left of the plot, for the scores."""


@dataclass(frozen=True)
class Grid:
    """Where parameters (logarithmic) and scores fall on `width` × `height` characters; row 0 is the highest score."""

    width: int
    height: int
    parameters: tuple[float, float]
    scores: tuple[float, float]

    def column(self, parameters: int) -> int:
        """The column of a parameter count."""
        low, high = (math.log(end) for end in self.parameters)
        return _cell((math.log(max(1, parameters)) - low) / (high - low), self.width)

    def row(self, score: float) -> int:
        """The row of a score."""
        low, high = self.scores
        return self.height - 1 - _cell((score - low) / (high - low), self.height)


@dataclass
class Canvas:
    """Characters with styles, written cell by cell."""

    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)

    def put(self, column: int, row: int, character: str, style: str = "") -> None:
        """Write one character over what is there; outside the canvas nothing happens."""
        if 0 <= column < self.width and 0 <= row < self.height:
            self.cells[column, row] = (character, style)

    def line(self, row: int) -> Text:
        """One row as text."""
        return Text.assemble(*(self.cells.get((column, row), (" ", "")) for column in range(self.width)))


def letters(methods: Iterable[str]) -> dict[str, str]:
    """Return method -> a letter of its own: the first of its name that is free, then any that is; `*` after 26."""
    given: dict[str, str] = {}
    for method in sorted(set(methods)):
        wanted = (character for character in f"{method.lower()}abcdefghijklmnopqrstuvwxyz" if "a" <= character <= "z")
        given[method] = next((letter for letter in wanted if letter not in given.values()), "*")
    return given


def plot(curve: Curve, *, width: int, height: int = 14, ascii_only: bool = False) -> Text:
    """Return the curve on `width` columns and `height` + 3 lines: plot, axis, its numbers, legend."""
    if not curve.points:
        return Text("No trial has been scored yet.", style="dim")
    named = letters(curve.styles)
    grid = _grid(curve, width=width - GUTTER - 1, height=height)
    canvas = Canvas(grid.width, grid.height)
    _draw_budget(canvas, grid, curve.budget, "!" if ascii_only else "┊")
    _draw_steps(canvas, grid, curve, ("-", "|", "+") if ascii_only else ("─", "│", "┘"))
    _draw_points(canvas, grid, curve, named)
    lines = [Text.assemble((_score_label(grid, row), "dim"), canvas.line(row)) for row in range(grid.height)]
    return Text("\n").join([*lines, *_axis(grid, curve.budget, ascii_only), _legend(curve, named)])


def _grid(curve: Curve, *, width: int, height: int) -> Grid:
    parameters = [curve.budget, *(max(1, point.trainable_parameters) for point in curve.points)]
    scores = [point.score for point in curve.points]
    air = (max(scores) - min(scores)) * 0.05 or 0.01
    return Grid(width, height, (min(parameters) / 1.15, max(parameters) * 1.15), (min(scores) - air, max(scores) + air))


def _draw_budget(canvas: Canvas, grid: Grid, budget: int, character: str) -> None:
    for row in range(grid.height):
        canvas.put(grid.column(budget), row, character, "dim")


def _draw_steps(canvas: Canvas, grid: Grid, curve: Curve, characters: tuple[str, str, str]) -> None:
    across, up, corner = characters
    ends = [*(grid.column(point.trainable_parameters) for point in curve.front[1:]), grid.column(curve.budget)]
    below = 0
    for point, end in zip(curve.front, ends, strict=True):
        column, row = grid.column(point.trainable_parameters), grid.row(point.score)
        for step in range(row + 1, below):
            canvas.put(column, step, up, "dim")
        for step in range(column, end):
            canvas.put(step, row, across, "dim")
        if point is not curve.front[-1]:
            canvas.put(end, row, corner, "dim")
        below = row


def _draw_points(canvas: Canvas, grid: Grid, curve: Curve, named: Mapping[str, str]) -> None:
    def put(point: Point, character: str, weight: str) -> None:
        style = f"{weight} {curve.styles[point.method].terminal}"
        canvas.put(grid.column(point.trainable_parameters), grid.row(point.score), character, style)

    for point in curve.points:
        put(point, named[point.method], "not bold")
    for point in curve.front:
        put(point, named[point.method].upper(), "bold")


def _score_label(grid: Grid, row: int) -> str:
    if row not in (0, grid.height // 2, grid.height - 1):
        return " " * GUTTER
    low, high = grid.scores
    score = high - (row + 0.5) / grid.height * (high - low)
    return f"{metric(score):>{GUTTER - 1}} "


def _axis(grid: Grid, budget: int, ascii_only: bool) -> list[Text]:
    rule = ["-" if ascii_only else "─"] * grid.width
    numbers = [" "] * (grid.width + GUTTER)
    for tick in (budget, *_ticks(grid)):
        label, column = count(tick), grid.column(tick)
        start = min(max(0, column + GUTTER - len(label) // 2), len(numbers) - len(label))
        if not "".join(numbers[max(0, start - 2) : start + len(label) + 2]).strip():
            numbers[start : start + len(label)] = label
            rule[column] = "+" if ascii_only else "┬"
    return [Text(" " * GUTTER + "".join(rule), style="dim"), Text("".join(numbers).rstrip(), style="dim")]


def _ticks(grid: Grid) -> list[int]:
    low, high = grid.parameters
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if high / low > 300 else (1, 2, 5)
    return [factor * 10**decade for decade in decades if decade >= 0 for factor in factors if low <= factor * 10**decade <= high]


def _legend(curve: Curve, named: Mapping[str, str]) -> Text:
    scored = {point.method for point in curve.points}
    shown = [(method, style) for method, style in curve.styles.items() if method in scored]
    parts = [Text.assemble((named[method], f"bold {style.terminal}"), f" {method}") for method, style in shown]
    return Text.assemble(" " * GUTTER, Text("  ").join(parts), ("  capitals: the frontier", "dim"))


def _cell(share: float, cells: int) -> int:
    return min(cells - 1, max(0, int(share * cells)))
