"""What a training rule is: typed hyperparameters, how many of a trial's elements it trains, and one step on a pack.

A rule's file in `updates/` holds one final, frozen dataclass that subclasses `Optimizer`. In a space a rule is named as a part of
the method, `lora+subzero`, with its hyperparameters under its name: `subzero.rank`. All trials of a pack follow one rule, with
their own learning rates; whatever a rule keeps between steps is in `State`, so that a trial can pause and go on elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from .configurable import Configurable
from .model.pack import Pack
from .model.seeds import generator

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class State:
    """What a rule remembers of a pack.

    `vectors` have an entry for every trainable element, (elements,). `rows` have a row for every trial, (trials, width), of
    which trial k uses the first `widths[k]`. `origin` and `reference`, (elements,), are never stored: the values at step 0, which
    the seed gives again, and the frozen weights that the values are added to (see `Pack.reference`).
    """

    origin: Tensor
    reference: Tensor
    vectors: dict[str, Tensor]
    rows: dict[str, Tensor]
    widths: tuple[int, ...] = ()

    def of_trial(self, pack: Pack, position: int) -> dict[str, Tensor]:
        """Return one trial's share under its stored names, on the CPU."""
        share = {f"{kind}:{name}": t for kind, vector in self.vectors.items() for name, t in pack.of_trial(vector, position).items()}
        rows = {f"{kind}:": row[position, : self.widths[position]].cpu().clone() for kind, row in self.rows.items()}
        return {**share, **rows}

    def set_trial(self, pack: Pack, position: int, share: dict[str, Tensor]) -> None:
        """Write one trial's share (see `of_trial`), in place."""
        for kind, vector in self.vectors.items():
            start = f"{kind}:"
            pack.set_trial(vector, position, {k.removeprefix(start): t.to(vector) for k, t in share.items() if k.startswith(start)})
        for kind, row in self.rows.items():
            row[position, : self.widths[position]] = share[f"{kind}:"].to(row)


@dataclass(frozen=True)
class StepContext:
    """One training step as a rule sees it.

    `pieces` give, added up, every trial's loss and what its method adds to it, (trials,) each, at any values (elements,) of the pack.
    """

    step: int
    horizon: int
    """Number of steps that the learning rate's schedule is made for."""
    rates: Tensor
    """How far every element moves at this step for a direction of 1, its unit included (see `Pack`), (elements,)."""
    clip: float
    """Largest gradient norm of one trial."""
    seeds: Sequence[int]
    pieces: Sequence[Callable[[Tensor], tuple[Tensor, Tensor]]]

    def losses(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Return every trial's loss and penalty at these values, (trials,) each."""
        losses, penalties = zip(*(piece(flat) for piece in self.pieces), strict=True)
        return torch.stack(losses).sum(0), torch.stack(penalties).sum(0)

    def gradient(self, pack: Pack) -> tuple[Tensor, Tensor]:
        """Return the losses (trials,) without penalties, and the gradient (elements,) with them, in units, clipped trial by trial.

        In units (`Pack.units`), so that neither the clipping nor what a rule makes of the gradient depends on the model's own sizes.
        """
        flat = pack.flat.detach().requires_grad_()
        total, gradient = pack.flat.new_zeros(pack.size), torch.zeros_like(pack.flat)
        for piece in self.pieces:
            losses, penalties = piece(flat)
            gradient += torch.autograd.grad((losses + penalties).sum(), flat)[0]
            total += losses.detach()
        gradient *= pack.units
        factor = (self.clip / (pack.norms(gradient) + 1e-6)).clamp(max=1.0)
        return total, gradient * factor[pack.owner]

    @torch.no_grad()
    def slope(self, pack: Pack, direction: Tensor, *, eps: float) -> tuple[Tensor, Tensor]:
        """Return the losses, and the slope along `direction` (elements,) in units, (trials,) each, from two forward passes (SPSA)."""
        moved = eps * pack.units * direction
        (up, more), (down, less) = self.losses(pack.flat + moved), self.losses(pack.flat - moved)
        return (up + down) / 2, (up + more - down - less) / (2 * eps)

    def draw(self, position: int, *key: int) -> Generator:
        """Return the generator of one trial's random numbers for a key, apart from the streams of its start and its rows."""
        return generator(self.seeds[position], 2_000_003, *key)


@dataclass(frozen=True)
class Optimizer(Configurable, ABC):
    """One training rule with its hyperparameters filled in."""

    formula: ClassVar[str]
    citation: ClassVar[str]
    uses_reference: ClassVar[bool] = False
    """Whether the rule asks what the values are added to."""

    def trainable(self, total: int) -> int:
        """How many of a trial's `total` elements are trained: all, unless the rule leaves the others as they were."""
        return total

    def rates(self, pack: Pack) -> Tensor:
        """Learning rate of every element before the schedule, unit included, (elements,): the method's own."""
        return pack.rates

    def vectors(self) -> tuple[str, ...]:
        """Names of what is remembered of every element; all start at 0."""
        return ("m", "v")

    def rows(self, total: int) -> dict[str, int]:
        """Name -> numbers that are remembered of a trial with `total` elements beside the vectors; all start at 0."""
        return {}

    @abstractmethod
    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """Move `pack.flat` in place by one step and return the losses, (trials,), that were met on the way."""

    def start(self, pack: Pack, reference: Tensor | None = None) -> State:
        """Return the state of a pack that stands at step 0; `reference` (elements,) is for rules that ask for it, 0 unless given."""
        totals = [len(own) for own in pack.places]
        sizes = [self.rows(total) for total in totals]
        width = max((max(size.values(), default=0) for size in sizes), default=0)
        rows = {name: pack.flat.new_zeros(pack.size, width) for name in self.rows(1)}
        widths = tuple(max(size.values(), default=0) for size in sizes)
        vectors = {name: torch.zeros_like(pack.flat) for name in self.vectors()}
        return State(
            pack.flat.clone(), pack.flat.new_zeros(()).expand_as(pack.flat) if reference is None else reference, vectors, rows, widths
        )


@torch.no_grad()
def adam(m: Tensor, v: Tensor, gradient: Tensor, *, step: int) -> Tensor:
    """Update both moments in place and return the direction m̂ / (√v̂ + ε); all of one shape, `step` counts from 0."""
    m.lerp_(gradient, 1 - BETA1)
    v.lerp_(gradient.square(), 1 - BETA2)
    first, second = 1 - BETA1 ** (step + 1), 1 - BETA2 ** (step + 1)
    return m / first / (v.div(second).sqrt_().add_(EPSILON))


def largest(scores: Tensor, count: int) -> Tensor:
    """Return a mask (elements,) of the `count` largest scores; of equal ones the first are taken, on every machine alike."""
    mask = torch.zeros_like(scores, dtype=torch.bool)
    mask[torch.sort(scores, descending=True, stable=True).indices[:count]] = True
    return mask


def share(fraction: float, total: int) -> int:
    """Return how many of `total` elements a fraction is: at least one."""
    return min(total, max(1, round(fraction * total)))
