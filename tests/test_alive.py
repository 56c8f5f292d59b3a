"""In every family: a row beside other trials' rows is what it is alone, and every tensor of every adapter acts and is learnt.

`benchmarks/families.py` says so of every family that it tries, and keeps it: here is one of each kind.
"""

import pytest

from ulpt_search.benchmarks.family_gates import WITHIN, gates, unlike
from ulpt_search.workers.model.readouts.encoding import encode

from . import families, toy
from .test_families import SAMPLE, rows

ROWS = [[0, 3], [1, 5], [6, 2], [4, 1]]
"""Rows of each trial: of 1 to 20 words, no two trials the same."""


@pytest.mark.parametrize("name", SAMPLE)
def test_packed_is_alone_and_everything_lives(name: str) -> None:
    backbone = families.backbone(name)
    found = gates(toy.trainer(backbone), encode(backbone, rows(), max_tokens=40), ROWS)
    assert found.scores <= WITHIN, "scores beside others"
    assert found.gradients <= WITHIN, "gradients beside others"
    assert not found.dead, "tensors that do nothing"
    assert not found.idle, "adapters that change nothing"
    assert found.open
    assert {"prompt", "lora"} <= set(found.adapters)
    assert found.tensors > len(found.adapters)


def test_rows_of_a_pack_are_short_beside_long() -> None:
    chosen = list(unlike([5, 3, 9, 4, 7, 6, 8, 2], trials=4))
    assert chosen == [[7, 2], [1, 6], [3, 4], [0, 5]]
