"""Matrices as tensor trains: the factors of a width, and what a train of cores multiplies out to.

    M[i_1 … i_D] = G_1[i_1] G_2[i_2] … G_D[i_D]      G_i (r_{i-1} × k_i × r_i), r_0 = r_D = 1, all other r_i = r

M is a (rows × columns) matrix read row by row, ∏k_i = rows · columns.  Count: Σ r_{i-1} k_i r_i.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import log, prod

import torch
from torch import Generator, Tensor

from ....spaces.errors import WrongInput
from ...method import Named, normal

BALANCED = "balanced"
WHOLE = 16
"""Widths up to this make a core as they are."""


@cache
def factorise(width: int, parts: int) -> tuple[int, ...]:
    """Split a width into `parts` factors that are as equal as can be (smallest sum), ascending; fewer where it has fewer primes.

    Raises `WrongInput` where a width is to be split and is prime.
    """
    parts = max(1, min(parts, _primes(width)))
    if parts == 1 and width > WHOLE:
        raise WrongInput(f"a tensor train cannot factor the width {width}, which is prime; use lora or melora on such linears")
    return min(_splits(width, parts, 2), key=sum) if parts > 1 else (width,)


def near_eight(width: int) -> tuple[int, ...]:
    """Split a width into factors of about 8, as LoRETTA's shapes do: 768 is 8·8·12, 64 is 8·8, 8 stays."""
    return factorise(width, max(1 if width <= WHOLE else 2, round(log(width, 8))))


@dataclass(frozen=True)
class Train:
    """A (rows × columns) matrix as a train of cores with dimensions `shape` and bonds of one `rank`."""

    rows: int
    columns: int
    shape: tuple[int, ...]
    rank: int

    @property
    def cores(self) -> tuple[tuple[int, int, int], ...]:
        """Size of each core G_i."""
        bonds = (1, *[self.rank] * (len(self.shape) - 1), 1)
        return tuple(zip(bonds, self.shape, bonds[1:], strict=False))

    @property
    def count(self) -> int:
        """Σ r_{i-1} k_i r_i."""
        return sum(prod(core) for core in self.cores)

    def draw(self, name: str, *, generator: Generator, std: float, zero: bool) -> dict[str, Tensor]:
        """Cores `name0 …` whose product has entries N(0, std²); with `zero` the last core, and so the product, is 0."""
        each = std ** (1 / len(self.shape))
        cores = [normal(*size, generator=generator, std=each * size[2] ** -0.5) for size in self.cores]
        if zero:
            cores[-1] = torch.zeros_like(cores[-1])
        return {f"{name}{number}": core for number, core in enumerate(cores)}

    def unfold(self, p: Named, name: str) -> tuple[Tensor, Tensor]:
        """The matrix as `left` (rows, k) times `right` (k, columns).

        k is the rank of the bond between rows and columns, or `columns` where that is less or no bond lies there.
        """
        cores = [p[f"{name}{number}"] for number in range(len(self.shape))]
        cut = next((n for n in range(1, len(cores)) if prod(self.shape[:n]) == self.rows), None)
        if cut is None or self.rank > self.columns:
            return _multiply(cores).reshape(self.rows, self.columns), torch.eye(self.columns, dtype=cores[0].dtype, device=cores[0].device)
        return _multiply(cores[:cut]).reshape(self.rows, self.rank), _multiply(cores[cut:]).reshape(self.rank, self.columns)


def shaped(text: str, rows: int, columns: int, *, hyperparameter: str) -> tuple[int, ...]:
    """The dimensions of a train for a (rows × columns) matrix.

    `text` is `balanced`, or shapes such as `8x8x12x8,8x8x8x4x9`, of which the first with the right product is meant.
    Raises `WrongInput` naming `hyperparameter` where there is none.
    """
    if text == BALANCED:
        return (*near_eight(rows), *near_eight(columns))
    try:
        shapes = [tuple(int(factor) for factor in shape.split("x")) for shape in text.split(",")]
    except ValueError:
        raise WrongInput(f"{hyperparameter}: {text!r} is neither {BALANCED} nor shapes such as 8x8x12x8,8x8x8x4x9") from None
    fitting = (shape for shape in shapes if prod(shape) == rows * columns and min(shape) > 0)
    found = next(fitting, None)
    if found is None:
        raise WrongInput(
            f"{hyperparameter}: no shape in {text!r} has the product {rows}·{columns} = {rows * columns}; add one or use {BALANCED}"
        )
    return found


def _multiply(cores: Sequence[Tensor]) -> Tensor:
    """Contract neighbouring cores from the left: (r_0 ∏k, r_D)."""
    product = cores[0].flatten(0, 1)
    for core in cores[1:]:
        product = (product @ core.flatten(1)).reshape(-1, core.shape[2])
    return product


def _splits(width: int, parts: int, least: int) -> Iterator[tuple[int, ...]]:
    """Every ascending tuple of `parts` factors, each at least `least`, with the product `width`."""
    if parts == 1:
        yield (width,)
        return
    for factor in range(least, width):
        if factor**parts > width:
            return
        if width % factor == 0:
            yield from ((factor, *rest) for rest in _splits(width // factor, parts - 1, factor))


def _primes(width: int) -> int:
    """Number of prime factors, repeated ones counted."""
    count, divisor = 0, 2
    while divisor * divisor <= width:
        while width % divisor == 0:
            width, count = width // divisor, count + 1
        divisor += 1
    return count + (width > 1)
