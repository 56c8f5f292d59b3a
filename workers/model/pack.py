"""K trials as one: their tensors in a single flat vector, grouped so that same-shaped adapters are one batched operation.

The flat vector holds every trainable element of every trial. An optimiser step is therefore a handful of operations on one
tensor whatever the mix of methods, with a learning rate per element; `owner` says whose each element is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...spaces.shape import Linear, Shape
from ..configurable import file_name
from ..method import Method, Tensors
from .seeds import generator
from .transfer import sent

FIRST, SECOND = 1_000_003, 3_000_017
"""Where the streams of the training steps' noise start: that of the first pass and that of a second one, where there is one."""


@dataclass(frozen=True)
class Part:
    """One method of one trial, built: trial number `position` in the pack, its tensors, and the prefix of their stored names."""

    position: int
    method: Method
    tensors: Tensors
    prefix: str
    units: Mapping[str, float]
    """Name of a trainable tensor -> its unit (see `Method.unit`)."""


@dataclass(frozen=True)
class Group:
    """Consecutive trials whose parts compute the same function on tensors of the same shapes, stacked as (trials, ...)."""

    method: Method
    parts: tuple[Part, ...]
    frozen: dict[str, Tensor]

    @property
    def first(self) -> int:
        """Position of the first trial."""
        return self.parts[0].position

    @property
    def count(self) -> int:
        """Number of trials."""
        return len(self.parts)

    def shapes(self) -> dict[str, torch.Size]:
        """Shape of each trainable tensor of one trial."""
        return {name: tensor.shape for name, tensor in self.parts[0].tensors.trainable.items()}


def build_parts(position: int, methods: Sequence[Method], shape: Shape, seed: int) -> list[Part]:
    """Draw the tensors of a trial's methods at step 0; each part has a generator of its own, derived from the seed."""
    tensors = [method.build(shape, generator(seed, index)) for index, method in enumerate(methods)]
    prefixes = [f"{file_name(type(method))}." if len(methods) > 1 else "" for method in methods]
    units = [{name: m.unit(name, shape) for name in t.trainable} for m, t in zip(methods, tensors, strict=True)]
    return [Part(position, *made) for made in zip(methods, tensors, prefixes, units, strict=True)]


class Pack:
    """The tensors of K trials, stacked by group, with `flat` (elements,) float32 on `device` as the only trainable leaf.

    `units` (elements,) are what each element is measured in while it is trained: rules see gradients and directions in it, and
    `rates` (elements,) are how far `flat` moves for a step of 1, unit included.
    """

    def __init__(self, trials: Sequence[Sequence[Part]], *, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.size = len(trials)
        self.groups = tuple(_group(trials, device=device, dtype=dtype))
        self._segments = [(g, name, size) for g, group in enumerate(self.groups) for name, size in group.shapes().items()]
        pieces = [torch.stack([p.tensors.trainable[name] for p in self.groups[g].parts]).flatten() for g, name, _ in self._segments]
        self.flat = torch.cat([*pieces, torch.zeros(0)]).to(device=device, dtype=dtype)
        self.owner = self._per_element(device, lambda part, _: float(part.position)).long()
        self.units = self._per_element(device, lambda part, name: part.units[name]).to(dtype)
        self.rates = self._per_element(device, lambda part, name: part.method.rate(name) * part.units[name]).to(dtype)

    def unflatten(self, flat: Tensor) -> list[dict[str, Tensor]]:
        """Return, per group, its trainable tensors as (trials, ...) views of `flat`; one split, so one cat in backward."""
        counts = [self.groups[g].count * size.numel() for g, _, size in self._segments]
        values: list[dict[str, Tensor]] = [{} for _ in self.groups]
        for (g, name, size), piece in zip(self._segments, flat.split(counts), strict=True):
            values[g][name] = piece.view(self.groups[g].count, *size)
        return values

    def of_trial(self, vector: Tensor, position: int) -> dict[str, Tensor]:
        """Return one trial's share of a flat vector (values, moments, …) under its stored names, on the CPU."""
        share: dict[str, Tensor] = {}
        for group, values in zip(self.groups, self.unflatten(vector), strict=True):
            for part, index in ((p, i) for i, p in enumerate(group.parts) if p.position == position):
                share.update({part.prefix + name: value[index].detach().cpu().clone() for name, value in values.items()})
        return share

    def set_trial(self, vector: Tensor, position: int, share: dict[str, Tensor]) -> None:
        """Write one trial's share (see `of_trial`) into a flat vector, in place."""
        for group, values in zip(self.groups, self.unflatten(vector), strict=True):
            for part, index in ((p, i) for i, p in enumerate(group.parts) if p.position == position):
                for name, value in values.items():
                    value[index].copy_(share[part.prefix + name])

    @cached_property
    def places(self) -> tuple[Tensor, ...]:
        """Where in a flat vector each trial's elements are, ascending."""
        return tuple((self.owner == position).nonzero()[:, 0] for position in range(self.size))

    def fill(self, draw: Callable[[int, str, torch.Size], Tensor]) -> Tensor:
        """Return a flat vector made of `draw(position, stored name, size)` for every tensor of every trial."""
        drawn = [draw(p.position, p.prefix + name, size).flatten() for g, name, size in self._segments for p in self.groups[g].parts]
        return sent(torch.cat([*drawn, torch.zeros(0)]), self.flat.device).to(self.flat)

    def reference(self, shape: Shape, weight: Callable[[Linear], Tensor]) -> Tensor:
        """Return what the values are added to: the frozen weight for a tensor `layer.role/weight`, 0 elsewhere; (elements,).

        `weight` gives the frozen weight (outputs, inputs) of a linear.
        """
        sites = {f"{site.key}/weight": site for whole in shape.linears for site in (whole, *whole.parts)}

        def base(_: int, name: str, size: torch.Size) -> Tensor:
            site = sites.get(".".join(name.split(".")[-2:]))  # in a composition the method's name stands in front
            return torch.zeros(size) if site is None else weight(site).to("cpu", torch.float32)

        return self.fill(base)

    def norms(self, vector: Tensor) -> Tensor:
        """Return the Euclidean norm of each trial's share of a flat vector, (trials,)."""
        squares = torch.zeros(self.size, dtype=vector.dtype, device=vector.device)
        return squares.index_add_(0, self.owner, vector.square()).sqrt()

    def noise(self, shape: Shape, seeds: Sequence[int], step: int, *, again: bool = False) -> list[dict[str, Tensor]]:
        """Fresh random tensors of a training step, per group, from each trial's seed and the step; `again`, those of its second pass."""
        return [_noise(group, shape, seeds, (SECOND if again else FIRST) + step, self.flat.device) for group in self.groups]

    @cached_property
    def consistent(self) -> Tensor:
        """1 for trials with a method whose two passes should agree, 0 for the others, (trials,)."""
        wanted = {part.position for group in self.groups for part in group.parts if part.method.consistency}
        return sent(torch.tensor([float(k in wanted) for k in range(self.size)], dtype=self.flat.dtype), self.flat.device)

    @property
    def twice(self) -> bool:
        """Whether a step takes a second pass for any trial."""
        return any(group.method.consistency for group in self.groups)

    def _per_element(self, device: torch.device, value: Callable[[Part, str], float]) -> Tensor:
        pieces = [
            torch.full((size.numel(),), value(part, name), dtype=torch.float64)
            for g, name, size in self._segments
            for part in self.groups[g].parts
        ]
        return torch.cat([*pieces, torch.zeros(0, dtype=torch.float64)]).to(device)


def _key(part: Part) -> tuple[object, ...]:
    sizes = {**part.tensors.trainable, **part.tensors.frozen}
    return (part.method.signature(), tuple((name, tuple(tensor.shape)) for name, tensor in sizes.items()))


def _group(trials: Sequence[Sequence[Part]], *, device: torch.device, dtype: torch.dtype) -> Iterator[Group]:
    """Stack the parts of equal key and neighbouring positions; a method that cannot be batched stays alone."""
    runs: list[list[Part]] = []
    latest: dict[tuple[object, ...], list[Part]] = {}
    for part in (part for parts in trials for part in parts):
        run = latest.get(_key(part))
        if run is not None and run[-1].position + 1 == part.position and part.method.packable:
            run.append(part)
            continue
        runs.append([part])
        latest[_key(part)] = runs[-1]
    for run in runs:
        names = run[0].tensors.frozen
        frozen = {name: _stack([part.tensors.frozen[name] for part in run]).to(device) for name in names}
        cast = {name: t.to(dtype) if t.is_floating_point() else t for name, t in frozen.items()}
        yield Group(run[0].method, tuple(run), cast)


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors))


def _noise(group: Group, shape: Shape, seeds: Sequence[int], key: int, device: torch.device) -> dict[str, Tensor]:
    draws = [p.method.noise(shape, generator(seeds[p.position], key)) for p in group.parts]
    return {name: sent(_stack([draw[name] for draw in draws]), device) for name in draws[0]}
