"""LoRTA's equation against one loop over heads, the published counts, and grouped-query attention."""

import dataclasses

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Shape
from ulpt_search.workers.methods.lorta import Lorta
from ulpt_search.workers.model.sites import local

from ..shapes import linear, shape

MHA, GQA = shape(width=8, layers=3, heads=4), shape(width=8, kv=4, layers=3, heads=4)


def drawn(method: Lorta, model: Shape) -> dict[str, torch.Tensor]:
    """Tensors of a model with every trainable one away from zero."""
    tensors, draw = method.build(model, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    return {name: torch.randn(t.shape, generator=draw) for name, t in tensors.trainable.items()} | tensors.frozen


@pytest.mark.parametrize(
    ("model", "modules", "rows"),
    [
        (MHA, "q,k,v,o", {"": "qkvo"}),
        (GQA, "q,k,v,o", {"": "qo", "_kv": "kv"}),
        (MHA, "k,v", {"": "kv"}),
        (GQA, "q,v", {"": "q", "_kv": "v"}),
    ],
)
def test_equation(model: Shape, modules: str, rows: dict[str, str]) -> None:
    method = Lorta(rank=3, alpha=6.0, layers="last:2", modules=modules)
    p = drawn(method, model)
    for site in method.sites(model):
        tensor = next(suffix for suffix, roles in rows.items() if site.role in roles)
        a, b, h, m, layer = (p[name + tensor] for name in "ABHML")
        scale = m[rows[tensor].index(site.role)] * layer[site.layer - 1]
        heads = [2.0 * b @ torch.diag(head * scale) @ a.T for head in h]
        wanted = torch.cat(heads).T if site.role == "o" else torch.cat(heads)
        left, right = method.factors(local(p, site.key), site, torch.zeros(0))
        assert right.shape[0] == 3
        torch.testing.assert_close(left @ right, wanted)


def test_a_fused_linear_holds_the_three_modules() -> None:
    fused = dataclasses.replace(MHA, linears=(linear(8, 24, role="qkv"), linear(8, 8, role="o")))
    method = Lorta(rank=2)
    p = drawn(method, fused)
    left, right = method.factors(local(p, "0.qkv"), fused.linears[0], torch.zeros(0))
    for row, role in enumerate("qkv"):
        one = {**p, "modules": torch.tensor([row]), "layer": torch.tensor([0])}
        part, _ = method.factors(one, linear(8, 8, role=role), torch.zeros(0))
        torch.testing.assert_close((left @ right)[8 * row : 8 * row + 8], part @ right)
    assert method.parameters(fused) == 2 * (8 + 2 + 4 + 4 + 1)


@pytest.mark.parametrize(
    ("rank", "width", "heads", "layers", "published"),
    [(1, 2048, 32, 16, 2_164), (4, 2048, 32, 16, 8_656), (1, 896, 14, 24, 1_002), (1, 576, 9, 30, 683)],
)
def test_published_counts_on_the_dimensions_of_llama_qwen_and_smollm(
    rank: int, width: int, heads: int, layers: int, published: int
) -> None:
    assert Lorta(rank=rank).parameters(shape(width=width, heads=heads, layers=layers)) == published


def test_counts_two_tensors_with_grouped_query_attention() -> None:
    llama = shape(width=2048, kv=512, heads=32, layers=16)
    assert Lorta(rank=1).parameters(llama) == (2048 + 64 + 32 + 16 + 2) + (2048 + 64 + 8 + 16 + 2)
    assert Lorta(rank=1, modules="q,o").parameters(llama) == 2048 + 64 + 32 + 16 + 2


@pytest.mark.parametrize(("init", "bound"), [("published", 4**-0.5), ("scaled", 512**-0.5)])
def test_starts_as_its_authors_code_or_in_the_size_of_its_inputs(init: str, bound: float) -> None:
    a = Lorta(rank=4, init=init).build(shape(width=512, heads=8), torch.Generator().manual_seed(0)).trainable["A"]
    assert 0.99 * bound < float(a.abs().max()) <= bound


def test_a_linear_without_heads_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"lorta\.modules: 'up' has no heads; choose among q, k, v, o"):
        Lorta(modules="q,up").parameters(MHA)
