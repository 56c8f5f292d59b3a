"""LoRETTA rep: its equation as LoRA of the multiplied-out trains, the published counts, one-line errors."""

import dataclasses

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.workers.methods.loretta_rep import LorettaRep

from ..shapes import linear, shape


@pytest.mark.parametrize(("rank", "dimensions"), [(2, "balanced"), (6, "balanced"), (2, "2x4x3x4,5x4x4")])
def test_equation_is_lora_with_the_trains_multiplied_out(rank: int, dimensions: str) -> None:
    method, site = LorettaRep(rank=rank, bottleneck=4, shape=dimensions), linear(24, 20)
    draw = torch.Generator().manual_seed(0)
    a, b = method.trains(site)
    p = a.draw("A", generator=draw, std=1.0, zero=False) | b.draw("B", generator=draw, std=1.0, zero=False) | {"scaling": torch.tensor(0.5)}
    (a_left, a_right), (b_left, b_right) = a.unfold(p, "A"), b.unfold(p, "B")
    x, y = torch.randn(3, 24, generator=draw), torch.randn(3, 20, generator=draw)
    wanted = y + 0.5 * x @ (a_left @ a_right) @ (b_left @ b_right).mT
    torch.testing.assert_close(method.after(p, site, x, y, torch.zeros(20, 24)), wanted)


def test_the_update_has_the_rank_of_its_narrowest_bond() -> None:
    site = linear(24, 20, role="qkv")
    for rank, wanted in ((2, 2), (6, 4)):
        method = LorettaRep(rank=rank, bottleneck=4)
        tensors = method.build(_only(site), torch.Generator().manual_seed(0))
        p = {name.rpartition("/")[2]: tensor for name, tensor in {**tensors.trainable, **tensors.frozen}.items()}
        b, a = method.factors(p, site, torch.zeros(20, 24))
        assert (b.shape, a.shape) == ((20, wanted), (wanted, 24))


def test_published_count_on_deberta_base() -> None:
    model = _only(*(linear(768, 2304, role="qkv", layer=n) for n in range(12)))
    assert LorettaRep(rank=5, shape="8x8x12x8,8x8x8x4x9").parameters(model) == 13_980


def test_published_count_on_llama_2_7b() -> None:
    assert LorettaRep(rank=8, shape="16x16x8x4x4").parameters(shape(width=4096, layers=32)) == 249_856


def test_balanced_shapes_are_the_published_ones_for_a_width_of_768() -> None:
    a, b = LorettaRep().trains(linear(768, 768))
    assert a.shape == b.shape == (8, 8, 12, 8)
    assert a.count == 580


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (LorettaRep(rank=20), r"loretta_rep: 20 is above the width 16 of layers\.0\.q; lower rank or bottleneck"),
        (LorettaRep(shape="8x8"), r"loretta_rep\.shape: no shape in '8x8' has the product 16·8 = 128; add one or use balanced"),
    ],
)
def test_refuses_before_launch(method: LorettaRep, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        method.parameters(shape(width=16))


def _only(*linears: Linear) -> Shape:
    return dataclasses.replace(shape(width=8, layers=12), linears=linears)
