"""What belongs to parts of a fused linear, as PEFT holds it: for the whole module, with nothing where no part is."""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from ...spaces.shape import Linear, Shape

Entries = tuple[Tensor, Tensor, Tensor]
"""Rows, columns and values of a change that is zero elsewhere, (k,) each."""


def spread(shape: Shape, values: Mapping[Linear, Tensor], nothing: Callable[[Linear], Tensor]) -> dict[str, Tensor]:
    """Values by output (outputs, …) under their modules' names; outputs of no part are those of `nothing`."""
    made: dict[str, Tensor] = {}
    for linear in shape.whole(values):
        if linear in values:
            made[linear.name] = values[linear]
            continue
        whole = nothing(linear).clone()
        for rows, site in _parts(linear, values):
            whole[rows] = values[site]
        made[linear.name] = whole
    return made


def stacked(linear: Linear, pairs: Mapping[Linear, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """B (outputs, r) and A (r, inputs) of a module: its own, or its parts' one behind the other, r being the sum of their ranks."""
    if linear in pairs:
        return pairs[linear]
    places = list(_parts(linear, pairs))
    columns = []
    for rows, site in places:
        b = pairs[site][0]
        columns.append(b.new_zeros(linear.outputs, b.shape[1]).index_copy(0, rows, b))
    return torch.cat(columns, 1), torch.cat([pairs[site][1] for _, site in places])


def joined(linear: Linear, entries: Mapping[Linear, Entries]) -> Entries:
    """The entries of a module: its own, or its parts' together."""
    if linear in entries:
        return entries[linear]
    parts = list(_parts(linear, entries))
    rows = torch.cat([places[entries[site][0].long()].to(entries[site][0].dtype) for places, site in parts])
    columns, values = (torch.cat([entries[site][place] for _, site in parts]) for place in (1, 2))
    return rows, columns, values


def _parts(linear: Linear, sites: Mapping[Linear, object]) -> Iterator[tuple[Tensor, Linear]]:
    """The parts of a module that are among `sites`, and the module's outputs that each is."""
    for part in linear.parts:
        if part in sites and part.share is not None:
            yield torch.tensor(part.share.places()), part
