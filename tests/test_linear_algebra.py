"""Principal factors of a weight: against torch's own decomposition, with fixed signs, remembered only while they hold."""

import pytest
import torch

from ulpt_search.workers.methods.maths.linear_algebra import principal


@pytest.mark.parametrize("size", [(6, 6), (9, 4), (4, 9)])
def test_factors_are_those_of_the_singular_value_decomposition(size: tuple[int, int]) -> None:
    weight = torch.randn(*size, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    b, a = principal(weight, 3)
    torch.testing.assert_close(b @ a, u[:, :3] @ torch.diag(s[:3]) @ v[:3])
    torch.testing.assert_close(b.square().sum(0), s[:3])
    torch.testing.assert_close(a.square().sum(1), s[:3])
    assert (b.gather(0, b.abs().argmax(0, keepdim=True)) > 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_weight_of_low_rank_and_low_precision_gives_finite_factors(seed: int) -> None:
    row = torch.randn(1, 6, generator=torch.Generator().manual_seed(seed)).bfloat16()
    b, a = principal(row.expand(6, 6).clone(), 3)
    assert b.dtype == a.dtype == torch.float32
    assert float(b.abs().max()) < 10
    torch.testing.assert_close(b @ a, row.expand(6, 6).float(), rtol=1e-5, atol=1e-5)


def test_a_weight_of_zeros_gives_zeros() -> None:
    assert all((factor == 0).all() for factor in principal(torch.zeros(3, 4), 2))


def test_remembered_until_the_weight_changes() -> None:
    weight = torch.nn.Parameter(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), requires_grad=False)
    first, turned = principal(weight, 2), principal(weight.T, 2)
    assert principal(weight, 2) is first
    assert principal(weight.T, 2) is turned
    assert first[0].shape == (5, 2)
    assert turned[0].shape == (3, 2)
    weight.mul_(4.0)
    torch.testing.assert_close(principal(weight, 2)[0], 2 * first[0])
