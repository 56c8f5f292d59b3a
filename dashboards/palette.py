"""One colour and one shape per method, the same in every plot.

The six colours are at least 3:1 against their background (WCAG 2.2, 1.4.11) and stay apart for readers without red,
green or blue cones; the shape says the same again, so that no reader depends on colour. A test measures both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Theme:
    """A background with the inks that can be read on it."""

    background: str
    text: str
    muted: str
    grid: str
    budget: str
    methods: tuple[str, ...]


THEMES: dict[Scheme, Theme] = {
    "light": Theme(
        background="#ffffff",
        text="#1a1f26",
        muted="#566070",
        grid="#e3e7ec",
        budget="#a3341f",
        methods=("#4842d2", "#9b2424", "#08a282", "#744689", "#bc8100", "#180d1d"),
    ),
    "dark": Theme(
        background="#12161c",
        text="#e8ecf1",
        muted="#a3adba",
        grid="#2a323d",
        budget="#ff9b85",
        methods=("#3478ff", "#d0561a", "#38f997", "#b35ea4", "#fcd828", "#d3f0ff"),
    ),
}

MATPLOTLIB_SHAPES = ("o", "s", "^", "D", "v", "P", "X")
PLOTLY_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
TERMINAL_COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan")


@dataclass(frozen=True)
class Style:
    """How one method is drawn. Six colours and seven shapes: 42 methods before any two look alike."""

    index: int

    def colour(self, scheme: Scheme) -> str:
        """The method's colour on that background."""
        return THEMES[scheme].methods[self.index % 6]

    @property
    def matplotlib(self) -> str:
        """Marker code for matplotlib."""
        return MATPLOTLIB_SHAPES[self.index % 7]

    @property
    def plotly(self) -> str:
        """Symbol name for plotly."""
        return PLOTLY_SHAPES[self.index % 7]

    @property
    def terminal(self) -> str:
        """Colour name for a terminal, whose background we do not know."""
        return TERMINAL_COLOURS[self.index % 6]


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """Return method -> style, by the methods' alphabetical order."""
    return {method: Style(index) for index, method in enumerate(sorted(set(methods)))}
