"""One colour and one shape per method, the same in every plot of every study.

The six colours are at least 3:1 against their background (WCAG 2.2, 1.4.11) and stay apart for readers without red,
green or blue cones; the shape says the same again, so that no reader depends on colour. A test measures both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Theme:
    """A background with the inks that can be read on it."""

    background: str
    text: str
    muted: str
    grid: str
    soft: str
    budget: str
    methods: tuple[str, ...]


THEMES: dict[Scheme, Theme] = {
    "light": Theme(
        background="#ffffff",
        text="#1a1f26",
        muted="#566070",
        grid="#e3e7ec",
        soft="#f4f6f8",
        budget="#a3341f",
        methods=("#4842d2", "#9b2424", "#08a282", "#744689", "#bc8100", "#180d1d"),
    ),
    "dark": Theme(
        background="#12161c",
        text="#e8ecf1",
        muted="#a3adba",
        grid="#2a323d",
        soft="#1b212a",
        budget="#ff9b85",
        methods=("#3478ff", "#d0561a", "#38f997", "#b35ea4", "#fcd828", "#d3f0ff"),
    ),
}

MATPLOTLIB_SHAPES = ("o", "s", "^", "D", "v", "P", "X")
PLOTLY_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
TERMINAL_COLOURS = ("blue", "red", "green", "magenta", "yellow", "cyan")
LOOKS = len(TERMINAL_COLOURS) * len(MATPLOTLIB_SHAPES)
"""Pairs of a colour and a shape; each may be filled or open."""

ORDER = (
    *("ulpt", "lora", "prompt", "bitfit", "ia3", "adapter"),
    *("full", "prefix", "vera", "ln_tuning", "p_tuning", "fourierft"),
    *("dept", "dpt", "pruned_prefix", "adamix", "ether", "ether_plus"),
    *("finegates", "loretta_adp", "loretta_rep", "lorta", "melora", "snell"),
    *("sparta", "spp", "tinylora", "tt_lora", "unilora"),
)
"""Methods with a look of their own, a row for each round of the colours. Names are only ever added, at the end: what stands
here looks the same in every study and version. A name that does not stand here gets an open mark, by its checksum."""


@dataclass(frozen=True)
class Style:
    """How one method is drawn. Six colours, seven shapes, filled or open: 84 looks."""

    index: int

    def colour(self, scheme: Scheme) -> str:
        """The method's colour on that background."""
        return THEMES[scheme].methods[self.index % len(TERMINAL_COLOURS)]

    @property
    def is_open(self) -> bool:
        """Whether only the outline of the shape is drawn."""
        return self.index >= LOOKS

    @property
    def matplotlib(self) -> str:
        """Marker code for matplotlib."""
        return MATPLOTLIB_SHAPES[self.index % len(MATPLOTLIB_SHAPES)]

    @property
    def plotly(self) -> str:
        """Symbol name for plotly."""
        return f"{PLOTLY_SHAPES[self.index % len(PLOTLY_SHAPES)]}{'-open' if self.is_open else ''}"

    @property
    def terminal(self) -> str:
        """Colour name for a terminal, whose background we do not know."""
        return TERMINAL_COLOURS[self.index % len(TERMINAL_COLOURS)]


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """Return method -> style: the method's own, whatever the others are.

    Only where the checksums of two names agree does the later in the alphabet take the next open mark that is free.
    """
    drawn: dict[str, Style] = {}
    for method in sorted(set(methods)):
        drawn[method] = Style(ORDER.index(method)) if method in ORDER else _open_style(method, set(drawn.values()))
    return drawn


def _open_style(method: str, taken: set[Style]) -> Style:
    first = crc32(method.encode())
    wanted = [Style(LOOKS + (first + shift) % LOOKS) for shift in range(LOOKS)]
    return next((style for style in wanted if style not in taken), wanted[0])
