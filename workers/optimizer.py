"""What a training rule is: typed hyperparameters, how many of a trial's elements it trains, and one step on a pack.

A rule's file in `optimizers/` holds one final, frozen dataclass that subclasses `Optimizer`. In a space a rule is named as a part of
the method, `lora+subzero`, with its hyperparameters under its name: `subzero.rank`. All trials of a pack follow one rule, with
their own learning rates; whatever a rule keeps between steps is in `State`, so that a trial can pause and go on elsewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ..spaces.space import Training
from .configurable import Configurable
from .model.pack import Pack
from .model.seeds import generator

ORIGIN = "origin"
"""Starts the names of a trial's values at step 0 in its file."""


@dataclass(frozen=True)
class Adam:
    """What a study says of Adam's update; the rules that keep moments follow it, those that do not have no use for it."""

    beta1: float = Training.beta1
    beta2: float = Training.beta2
    epsilon: float = Training.epsilon
    decay: float = Training.weight_decay


@dataclass(frozen=True)
class State:
    """What a rule remembers of a pack.

    `vectors` have an entry for every trainable element, (elements,). `rows` have a row for every trial, (trials, width), of
    which trial k uses the first `widths[k]`. `origin`, (elements,), are the values at step 0; they are stored where the rule asks for
    them (`travels`), since a start that was computed, from kept states or a decomposition, is another machine's to some bits only.
    `reference`, (elements,), the frozen weights that the values are added to (see `Pack.reference`), is never stored.
    """

    origin: Tensor
    reference: Tensor
    vectors: dict[str, Tensor]
    rows: dict[str, Tensor]
    widths: tuple[int, ...] = ()
    travels: bool = False
    """Whether `origin` is stored."""

    def of_trial(self, pack: Pack, position: int) -> dict[str, Tensor]:
        """Return one trial's share under its stored names, on the CPU."""
        kept = self.vectors | ({ORIGIN: self.origin} if self.travels else {})
        share = {f"{kind}:{name}": t for kind, vector in kept.items() for name, t in pack.of_trial(vector, position).items()}
        rows = {f"{kind}:": row[position, : self.widths[position]].cpu().clone() for kind, row in self.rows.items()}
        return {**share, **rows}

    def set_trial(self, pack: Pack, position: int, share: dict[str, Tensor]) -> None:
        """Write one trial's share (see `of_trial`), in place; one that was stored before origins were keeps the origin computed here."""
        came = self.travels and any(name.startswith(f"{ORIGIN}:") for name in share)
        for kind, vector in (self.vectors | ({ORIGIN: self.origin} if came else {})).items():
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
    adam: Adam = Adam()
    effects: Mapping[str, Tensor] = field(default_factory=dict)
    """For rules that ask: how much every changed linear's output was changed in this step's passes, by the linear's key; see `Sites`."""

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
    def adamw(self, pack: Pack, state: State, gradient: Tensor) -> Tensor:
        """Return lr · (m̂ / (√v̂ + ε) + λ θ), θ in units, which AdamW takes away, (elements,); updates the moments `m` and `v`."""
        direction = adam(state.vectors["m"], state.vectors["v"], gradient, step=self.step, by=self.adam)
        return self.rates * (direction + self.adam.decay * pack.flat / pack.units if self.adam.decay else direction)

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
    published: ClassVar[str] = ""
    """Learning rates of the paper or its code, and which of the two."""
    deviations: ClassVar[str] = ""
    """Where this differs from the paper or its code, in one line; `none` where it does not."""
    uses_reference: ClassVar[bool] = False
    """Whether the rule asks what the values are added to."""
    uses_origin: ClassVar[bool] = False
    """Whether the rule asks where the values began after its first step: then they are stored with a trial."""
    uses_effects: ClassVar[bool] = False
    """Whether the rule asks how much the outputs of linears are changed."""

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
        added_to = pack.flat.new_zeros(()).expand_as(pack.flat) if reference is None else reference
        return State(pack.flat.clone(), added_to, vectors, rows, widths, travels=self.uses_origin)


@torch.no_grad()
def adam(m: Tensor, v: Tensor, gradient: Tensor, *, step: int, by: Adam) -> Tensor:
    """Update both moments in place and return the direction m̂ / (√v̂ + ε); all of one shape, `step` counts from 0."""
    m.lerp_(gradient, 1 - by.beta1)
    v.lerp_(gradient.square(), 1 - by.beta2)
    first, second = 1 - by.beta1 ** (step + 1), 1 - by.beta2 ** (step + 1)
    return m / first / (v.div(second).sqrt_().add_(by.epsilon))


def largest(scores: Tensor, count: int) -> Tensor:
    """Return a mask (..., elements) of the `count` largest scores; of equal ones the first are taken, on every machine alike."""
    order = torch.sort(scores, descending=True, stable=True).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order[..., :count], True)


def share(fraction: float, total: int) -> int:
    """Return how many of `total` elements a fraction is: at least one."""
    return min(total, max(1, round(fraction * total)))
