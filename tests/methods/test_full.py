"""Full fine-tuning's equation by hand, and its count."""

import torch

from ulpt_search.workers.methods.full import Full

from ..shapes import linear, shape


def test_equation() -> None:
    p = {"weight": torch.tensor([[0.5, 0.0], [0.0, -1.0]])}
    x, y = torch.tensor([[2.0, 3.0]]), torch.tensor([[10.0, 10.0]])
    assert Full().after(p, linear(2, 2), x, y, torch.zeros(2, 2)).tolist() == [[11.0, 7.0]]


def test_counts_every_weight_of_the_chosen_linears() -> None:
    assert Full(layers="last:1", modules="q").parameters(shape(width=8)) == 64
