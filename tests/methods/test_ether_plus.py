"""ETHER+ against its two matrices written out, its start, and its counts in the paper."""

import pytest
import torch
from torch import Tensor

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.ether_plus import EtherPlus

from ..shapes import linear, shape


def written_out(u: Tensor, v: Tensor) -> Tensor:
    """blockdiag(I - û ûᵀ + v̂ v̂ᵀ)."""
    blocks = [torch.eye(len(a)) - torch.outer(a, a) / a.dot(a) + torch.outer(b, b) / b.dot(b) for a, b in zip(u, v, strict=True)]
    whole: Tensor = torch.block_diag(*blocks)
    return whole


@pytest.mark.parametrize("both_sides", [True, False])
def test_equation(both_sides: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    p = {f"{name}_{side}": torch.randn(2, k, generator=draw) for name in "uv" for side, k in (("in", 3), ("out", 2))}
    W, x = torch.randn(4, 6, generator=draw), torch.randn(5, 6, generator=draw)
    left = written_out(p["u_out"], p["v_out"]) if both_sides else torch.eye(4)
    changed = left @ W @ written_out(p["u_in"], p["v_in"])
    method = EtherPlus(blocks=2, both_sides=both_sides)
    torch.testing.assert_close(method.after(p, linear(6, 4), x, x @ W.T, W), x @ changed.T)


def test_starts_as_the_frozen_model() -> None:
    where = shape(width=8, layers=1)
    tensors = EtherPlus(modules="v").build(where, torch.Generator().manual_seed(0)).trainable
    p = {name.removeprefix("0.v/"): tensor for name, tensor in tensors.items()}
    W = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    b, a = EtherPlus().factors(p, linear(8, 8, role="v"), W)
    torch.testing.assert_close(b @ a, torch.zeros(8, 8), rtol=0, atol=1e-6)


def test_counts_of_the_paper_on_llama_2_7b() -> None:
    """Printed as 1.04M."""
    assert EtherPlus(blocks=32).parameters(shape(width=4096, layers=32)) == 1_048_576
    assert EtherPlus(both_sides=False).parameters(shape(width=4096, layers=32)) == 524_288


def test_blocks_that_do_not_divide_the_width_are_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"ether_plus\.blocks: 8 does not divide the width 12 of layers\.0\.v; use 6"):
        EtherPlus(blocks=8).parameters(shape(width=24, kv=12))
