"""ULPT's equation by hand, and the counts that the paper prints."""

import pytest
import torch

from ulpt_search.workers.methods.ulpt import Ulpt

from ..shapes import shape


def test_equation() -> None:
    p = {"Z": torch.tensor([[1.0, 2.0]]), "P": torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])}
    p |= {"s": torch.tensor([2.0, 1.0, 0.5]), "b": torch.tensor([0.0, 1.0, -1.0])}
    assert Ulpt(dim=2, prompt_length=1).prompt(p).tolist() == [[2.0, 3.0, 0.5]]


@pytest.mark.parametrize(("dim", "published"), [(2, 1_736), (16, 3_136), (64, 7_936), (256, 27_136)])
def test_counts_of_the_paper_on_t5_base(dim: int, published: int) -> None:
    assert Ulpt(dim=dim, prompt_length=100).parameters(shape(width=768)) == published


@pytest.mark.parametrize(("dim", "published"), [(2, 4_116), (64, 4_736), (256, 6_656)])
def test_counts_of_the_paper_on_llama_1b(dim: int, published: int) -> None:
    assert Ulpt(dim=dim, prompt_length=10).parameters(shape(width=2048)) == published


def test_starts_at_the_scale_of_the_embeddings_whatever_the_dimension() -> None:
    for dim in (2, 16, 256):
        method = Ulpt(dim=dim, prompt_length=400)
        tensors = method.build(shape(width=64, rms=0.05), torch.Generator().manual_seed(0))
        prompt = method.prompt({**tensors.trainable, **tensors.frozen})
        assert float(prompt.square().mean().sqrt()) == pytest.approx(0.05, rel=0.35)
