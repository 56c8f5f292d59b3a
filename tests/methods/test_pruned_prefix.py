"""Pruned key-value prompts by hand, the gradient of a cut gate, its count and its refusal."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Attention
from ulpt_search.workers.methods.pruned_prefix import PrunedPrefix

from ..shapes import shape

SITE = Attention("a", 0, 1, 1, 4)


def test_equation() -> None:
    method = PrunedPrefix(prefix_length=2, segments=2, keep_tokens=0.5, keep_segments=0.5)
    p = {"P": torch.ones(2, 4), "u": torch.tensor([2.0, 1.0]), "v": torch.tensor([[3.0, 1.0], [1.0, 1.0]])}
    keys, values = method.keys_values(p, SITE)
    assert keys.tolist() == values.tolist() == [[6.0, 6.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]


def test_nothing_is_pruned_while_all_gates_are_equal_and_keys_may_differ_from_values() -> None:
    p = {"Pk": torch.full((2, 4), 2.0), "Pv": torch.full((2, 4), 3.0), "u": torch.ones(2), "v": torch.ones(2, 4)}
    keys, values = PrunedPrefix(prefix_length=2, segments=4, keep_tokens=0.25, keep_segments=0.25, shared=False).keys_values(p, SITE)
    assert torch.equal(keys, p["Pk"])
    assert torch.equal(values, p["Pv"])


def test_a_cut_gate_hears_its_gradient() -> None:
    u = torch.tensor([2.0, 1.0], requires_grad=True)
    method, p = (
        PrunedPrefix(prefix_length=2, segments=4, keep_tokens=0.5, keep_segments=1.0),
        {"P": torch.ones(2, 4), "v": torch.ones(2, 4)},
    )
    keys, _ = method.keys_values({**p, "u": u}, SITE)
    assert torch.autograd.grad(keys.sum(), u)[0].tolist() == [4.0, 4.0]


def test_count() -> None:
    bare = shape(width=768, layers=12, heads=12)
    assert PrunedPrefix(prefix_length=5, segments=16).parameters(bare) == 12 * (5 * 768 + 5 + 5 * 16)
    assert PrunedPrefix(prefix_length=5, segments=16, shared=False).parameters(bare) == 12 * (2 * 5 * 768 + 5 + 5 * 16)


def test_segments_that_do_not_divide_are_refused_before_launch() -> None:
    with pytest.raises(
        WrongInput, match=r"pruned_prefix\.segments: 16 segments do not divide the 24 keys of layers\.0\.attention; choose another"
    ):
        PrunedPrefix(segments=16).parameters(shape(width=24))
