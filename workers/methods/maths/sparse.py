"""A few random entries of large matrices: how many each gets, and which."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def shares(count: int, sizes: Sequence[int]) -> list[int]:
    """Split `count` in proportion to `sizes`, exactly: whole parts first, what is left to the largest remainders, earlier ones first."""
    total = sum(sizes)
    parts = [count * size // total for size in sizes]
    order = sorted(range(len(sizes)), key=lambda i: -(count * sizes[i] % total))
    for i in order[: count - sum(parts)]:
        parts[i] += 1
    return parts


def distinct(count: int, below: int, *, generator: Generator) -> Tensor:
    """Draw `count` different whole numbers from 0 to `below` - 1, every set equally likely; ascending, int64.

    Takes memory for all of them only where a large share is drawn.
    """
    if 4 * count > below:
        return torch.randperm(below, generator=generator)[:count].sort().values
    drawn = torch.empty(0, dtype=torch.int64)
    while len(drawn) < count:
        drawn = torch.cat([drawn, torch.randint(below, (2 * count,), generator=generator)]).unique()
    return drawn[torch.randperm(len(drawn), generator=generator)[:count]].sort().values
