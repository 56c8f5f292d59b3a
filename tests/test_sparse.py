"""Random entries: how many each matrix gets, and that every set of them is as likely as any other."""

import itertools
from collections import Counter

import pytest
import torch

from ulpt_search.workers.methods.maths.sparse import distinct, shares


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [(10, [1, 1], [5, 5]), (10, [3, 1], [8, 2]), (1, [5, 9], [0, 1]), (3, [4, 4], [2, 1]), (8, [2, 6], [2, 6]), (0, [2], [0])],
)
def test_shares(count: int, sizes: list[int], expected: list[int]) -> None:
    assert shares(count, sizes) == expected


@pytest.mark.parametrize("count", range(0, 60, 7))
def test_shares_are_exact_and_fit(count: int) -> None:
    sizes = [7, 1, 30, 22]
    parts = shares(count, sizes)
    assert sum(parts) == count
    assert all(part <= size for part, size in zip(parts, sizes, strict=True))


@pytest.mark.parametrize(("count", "below"), [(2, 5), (2, 40), (0, 7), (7, 7), (1, 10**9), (500, 10**7)])
def test_distinct_numbers_in_range(count: int, below: int) -> None:
    drawn = distinct(count, below, generator=torch.Generator().manual_seed(1))
    assert len(set(drawn.tolist())) == count
    assert all(0 <= number < below for number in drawn.tolist())
    assert torch.equal(drawn, distinct(count, below, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("below", [5, 9], ids=["shuffled", "drawn again"])
def test_every_set_is_equally_likely(below: int) -> None:
    """3,000 draws of two numbers: no pair is further than five standard deviations from its share."""
    draw = torch.Generator().manual_seed(0)
    seen = Counter(tuple(distinct(2, below, generator=draw).tolist()) for _ in range(3000))
    share = 1 / (below * (below - 1) / 2)
    spread = (3000 * share * (1 - share)) ** 0.5
    assert all(abs(seen[pair] - 3000 * share) < 5 * spread for pair in itertools.combinations(range(below), 2))
