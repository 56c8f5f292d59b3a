"""Tensor trains: balanced factors of any width, and the product of the cores against one loop per entry."""

import itertools

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.maths.tensor_train import Train, factorise, near_eight, shaped


@pytest.mark.parametrize(
    ("width", "parts", "factors"),
    [
        (768, 3, (8, 8, 12)),
        (2560, 4, (5, 8, 8, 8)),
        (1024, 4, (4, 4, 8, 8)),
        (64, 2, (8, 8)),
        (6, 4, (2, 3)),
        (7, 3, (7,)),
        (254, 2, (2, 127)),
    ],
)
def test_factors_are_balanced(width: int, parts: int, factors: tuple[int, ...]) -> None:
    assert factorise(width, parts) == factors


@pytest.mark.parametrize("width", [384, 576, 768, 896, 1024, 1536, 2048, 2304, 3072, 3584, 4096, 4864, 8192, 14336, 18944])
def test_factors_of_common_widths_multiply_out_and_stay_near_eight(width: int) -> None:
    factors = near_eight(width)
    assert torch.tensor(factors).prod() == width
    assert max(factors) <= 40


def test_a_prime_width_cannot_be_factored() -> None:
    with pytest.raises(WrongInput, match="cannot factor the width 509, which is prime; use lora or melora"):
        near_eight(509)


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 2, 3, 2), (4, 6), (24,), (3, 8)])
def test_the_cores_multiply_out_to_the_matrix(shape: tuple[int, ...]) -> None:
    train = Train(6, 4, shape, rank=3)
    p = train.draw("G", generator=torch.Generator().manual_seed(0), std=1.0, zero=False)
    entries = []
    for index in itertools.product(*(range(k) for k in shape)):
        product = torch.ones(1, 1)
        for number, i in enumerate(index):
            product = product @ p[f"G{number}"][:, i]
        entries.append(float(product))
    left, right = train.unfold(p, "G")
    torch.testing.assert_close(left @ right, torch.tensor(entries).view(6, 4))
    assert left.shape[1] == (3 if shape == (2, 3, 2, 2) else 4)
    assert sum(core.numel() for core in p.values()) == train.count


def test_the_product_starts_at_the_scale_asked_for() -> None:
    train = Train(768, 64, (8, 8, 12, 8, 8), rank=5)
    left, right = train.unfold(train.draw("G", generator=torch.Generator().manual_seed(0), std=0.03, zero=False), "G")
    assert float((left @ right).std()) == pytest.approx(0.03, rel=0.5)


def test_a_shape_is_chosen_by_its_product() -> None:
    assert shaped("8x8x12x8,8x8x8x4x9", 2304, 8, hyperparameter="x.shape") == (8, 8, 8, 4, 9)
    assert shaped("balanced", 768, 64, hyperparameter="x.shape") == (8, 8, 12, 8, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8x8", r"x\.shape: no shape in '8x8' has the product 768·8 = 6144; add one or use balanced"),
        ("wide", r"x\.shape: 'wide' is neither balanced nor shapes such as 8x8x12x8,8x8x8x4x9"),
        ("-8x-8x12x8", "no shape in"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        shaped(text, 768, 8, hyperparameter="x.shape")
