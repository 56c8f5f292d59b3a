"""Any number of labels a row, in closed form: each label's log-odds against its absence, by the discriminant of those two."""

import torch
from torch import Tensor

from .discriminant import Rule, rule_of
from .remembering import Remembered

_KEPT = Remembered()


def one_by_one(states: Tensor, marks: Tensor, *, rank: int = 0, bias: bool = True) -> Rule:
    """Return W (labels, width) and c of `states` (rows, width) and `marks` (rows, labels) of 0 and 1, found once for the same tensors.

    Of a `rank` above 0 U (labels, r) and V (r, width), whose product is the nearest to W.
    """
    w, c = _KEPT.of(states, marks, bias, lambda: _whole(states, marks, bias=bias))
    return _KEPT.of(states, marks, (rank, bias), lambda: (_of_rank(w, rank), c))


def _whole(states: Tensor, marks: Tensor, *, bias: bool) -> tuple[Tensor, Tensor]:
    found = [rule_of(states, column, labels=2, rank=0, bias=bias) for column in marks.long().unbind(1)]
    return torch.cat([whole[1:] - whole[:1] for (whole,), _ in found]), torch.cat([each[1:] - each[:1] for _, each in found])


def _of_rank(w: Tensor, rank: int) -> list[Tensor]:
    if not rank:
        return [w]
    left, sizes, right = torch.linalg.svd(w, full_matrices=False)
    root = sizes[:rank].sqrt()
    return [left[:, :rank] * root, root[:, None] * right[:rank]]
