"""ULPT's equation by hand, and the counts that the paper prints."""

import pytest
import torch

from ulpt_search.workers.catalogue import rule as rule_of
from ulpt_search.workers.methods.ulpt import Ulpt
from ulpt_search.workers.model.readouts.encoding import encode

from .. import toy, zoo
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


@pytest.mark.parametrize(("width", "dim", "published"), [(3072, 2, 6_164), (3072, 64, 6_784), (3072, 256, 8_704)])
def test_counts_of_the_paper_on_llama_3b(width: int, dim: int, published: int) -> None:
    assert Ulpt(dim=dim, prompt_length=10).parameters(shape(width=width)) == published


@pytest.mark.parametrize(
    ("init", "dim", "std"), [("t5", 2, 0.072), ("t5", 64, 0.39), ("t5", 256, 0.71), ("llama", 64, 0.577), ("normal", 64, 8.0)]
)
def test_published_inits_start_where_the_references_do_whatever_the_model(init: str, dim: int, std: float) -> None:
    """Standard deviation of a prompt's entry on T5-base, as the references' own initialisers give it."""
    for rms in (0.02, 5.0):
        method = Ulpt(dim=dim, prompt_length=100, init=init)
        tensors = method.build(shape(width=768, rms=rms), torch.Generator().manual_seed(0))
        prompt = method.prompt({**tensors.trainable, **tensors.frozen})
        assert float(prompt.std()) == pytest.approx(std, rel=0.15)


def test_the_shift_is_trained_in_the_embeddings_own_size_and_is_stored_as_it_is() -> None:
    """b starts at 0, and one step of AdamW at its full rate moves every element by rate · rms: in the prompt, not in some other unit."""
    loaded = zoo.backbone("decoder")
    units = {name: Ulpt().unit(name, loaded.shape) for name in ("Z", "s", "b")}
    assert units == {"Z": 1.0, "s": 1.0, "b": loaded.shape.embedding_rms}
    pack = toy.pack(loaded, [("ulpt", {"lr": 0.5}, 0)])
    data = encode(loaded, toy.rows(), max_tokens=32)
    rule = rule_of("ulpt", {})
    toy.trainer(loaded, steps=1).train(pack, rule, rule.start(pack), [0], data, start=0, stop=1)
    moved = pack.of_trial(pack.flat, 0)["b"].abs()
    assert float(moved.median()) == pytest.approx(0.5 * loaded.shape.embedding_rms, rel=1e-3)


def test_a_step_moves_what_a_token_has_of_its_own_as_far_as_what_all_have_in_common() -> None:
    """Equal steps of all elements of Z, and of b, in their units: the prompt changes by the same order, whatever r."""
    bare = shape(width=256, rms=0.03)
    for dim in (2, 16, 256):
        method = Ulpt(dim=dim, prompt_length=50)
        made = method.build(bare, torch.Generator().manual_seed(1))
        start = {**made.trainable, **made.frozen}
        signs = torch.randn(50, dim, generator=torch.Generator().manual_seed(2)).sign()
        stepped = {"Z": start["Z"] + 0.1 * signs, "b": start["b"] + 0.1 * method.unit("b", bare)}
        changes = [float((method.prompt({**start, name: t}) - method.prompt(start)).square().mean().sqrt()) for name, t in stepped.items()]
        assert changes[0] == pytest.approx(changes[1], rel=0.4)
