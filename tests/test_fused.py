"""q, k and v of a fused projection: whose outputs they are, and that a method on one of them is one on a linear of its own."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ulpt_search.benchmarks.tiny_families import FAMILIES, empty
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import count, method
from ulpt_search.workers.exports import Reading, forms_of, merged
from ulpt_search.workers.exports.outputs import padded, trained_reading
from ulpt_search.workers.exports.stock import quiet
from ulpt_search.workers.model.architecture import bias_of, read_shape, weight_of
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.model.sites import local
from ulpt_search.workers.training.trainer import bound_values

from . import families
from .test_families import AT_THE_DOOR, SERVED, rows
from .test_forms import CLOSE, distance, moved, texts

QKV = (
    "deberta", "modernbert", "modernbert-decoder", "gpt2", "openai-gpt", "gpt_neox", "gpt_neox_japanese", "gpt_bigcode",
    "gpt_bigcode-heads", "codegen", "bloom", "falcon", "falcon-grouped", "falcon-alibi", "mpt", "phi3", "phi3-longrope", "persimmon",
)  # fmt: skip
GATES = ("phi3", "phi3-longrope", "glm", "glm4")
LATENT = ("deepseek_v2", "deepseek_v3", "minicpm3", "glm4_moe_lite", "youtu", "mistral4", "kimi_linear", "deepseek_v32")
"""Whose keys, but for their rotary part, and values come out of one linear over a latent."""
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {"rank": 2, "modules": "q,v"}),
    "one": ("lora", {"rank": 2, "modules": "k"}),
    "dora": ("lora", {"rank": 2, "modules": "q,v", "dora": True}),
    "ia3": ("ia3", {"modules": "k,v"}),
    "bitfit": ("bitfit", {"modules": "q,v", "norm_biases": False}),
    "gates on both sides": ("finegates", {"modules": "q,v"}),
    "sparse": ("spp", {"modules": "q,v"}),
}
LAYOUTS = {
    "gpt2": "blocks of Conv1D",
    "mpt": "blocks",
    "phi3": "blocks, fewer keys than queries",
    "falcon": "blocks, one key for all heads",
    "bloom": "head by head",
    "falcon-grouped": "group by group",
    "codegen": "quarters, v before k",
    "deepseek_v3": "latent",
}
"""One family of each layout."""
SHOWN = [name if name in LAYOUTS else pytest.param(name, marks=pytest.mark.slow) for name in QKV]
LATENTS = [name if name in LAYOUTS else pytest.param(name, marks=pytest.mark.slow) for name in LATENT if name in SERVED]
ROLES = [(name, role) for name in LAYOUTS for role in ("q", "k", "v")] + [("phi3", "gate"), ("phi3", "up")]
PAIRS = [(family, name) for family in ("gpt2", "gpt_neox", "phi3") for name in METHODS] + [(name, "lora") for name in LAYOUTS]
EXPORTED = [
    pair if pair[0] == "gpt2" or pair[1] == "lora" else pytest.param(*pair, marks=pytest.mark.slow)
    for pair in dict.fromkeys(PAIRS)
    if pair != ("phi3", "bitfit")
]


@pytest.mark.slow
def test_every_family_with_a_fused_projection_knows_its_parts() -> None:
    shapes = {name: read_shape(empty(name)) for name in FAMILIES if name not in AT_THE_DOOR}
    for role, known in (("qkv", QKV), ("gate_up", GATES), ("kv_b_proj", LATENT)):
        found = {name for name, shape in shapes.items() if _wholes(shape, role)}
        assert found == set(known) & set(shapes)
        assert all(whole.parts for name in found for whole in _wholes(shapes[name], role))


def _wholes(shape: Shape, role: str) -> list[Linear]:
    return [linear for linear in shape.linears if linear.role == role]


@contextmanager
def watched(backbone: Backbone, whole: Linear, reader: str, change: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
    """Change what a fused linear puts out; gather what the linear of role `reader` of its layer is given."""
    seen: list[Tensor] = []
    last = next(site for site in backbone.shape.linears if (site.layer, site.role) == (whole.layer, reader))
    hooks = [
        backbone.model.get_submodule(whole.name).register_forward_hook(lambda _, __, y: change(y)),
        backbone.model.get_submodule(last.name).register_forward_pre_hook(lambda _, args: seen.append(args[0].detach())),
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def attended(backbone: Backbone, whole: Linear, reader: str, change: Callable[[Tensor], Tensor]) -> Tensor:
    """(tokens, width) of what is read behind a fused linear whose outputs (…, tokens, outputs) are changed, for one text of six tokens."""
    ids = torch.arange(10, 16)[None]
    with watched(backbone, whole, reader, change) as seen:
        backbone.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return seen[0].reshape(ids.shape[1], -1)


def moved_by(part: Linear, times: float, *, token: int | None = None) -> Callable[[Tensor], Tensor]:
    """A part's outputs and so many times fixed random numbers, at one token or at all."""

    def change(y: Tensor) -> Tensor:
        assert part.share is not None
        own = torch.zeros(6, y.shape[-1])
        here = slice(None) if token is None else slice(token, token + 1)
        own[here, part.share.places()] = torch.randn(6, part.outputs, generator=torch.Generator().manual_seed(0))[here]
        return y + times * own

    return change


@pytest.mark.parametrize("name", SHOWN)
def test_a_query_acts_where_it_stands_and_values_are_mixed_as_they_are(name: str) -> None:
    """What no other part of the outputs does: q of a token moves that token alone; what comes out is affine in v, and in nothing else."""
    backbone = families.backbone(name)
    whole = _wholes(backbone.shape, "qkv")[0]
    parts = {part.role: part for part in whole.parts}
    places = [place for part in whole.parts if part.share for place in part.share.places()]
    assert sorted(places) == list(range(whole.outputs))
    plain = attended(backbone, whole, "o", lambda y: y)
    moves = {
        role: (attended(backbone, whole, "o", moved_by(part, 1.0, token=1)) - plain).abs().amax(1) > 1e-5 for role, part in parts.items()
    }
    assert moves["q"].tolist() == [token == 1 for token in range(6)]
    assert moves["k"][2:].any()
    bent = {}
    for role, part in parts.items():
        once, twice = (attended(backbone, whole, "o", moved_by(part, times)) for times in (1.0, 2.0))
        bent[role] = float((twice - 2 * once + plain).abs().max() / plain.abs().max()) > 1e-5
    assert bent == {"q": True, "k": True, "v": False}


@pytest.mark.parametrize("name", LATENTS)
def test_of_a_latent_keys_bend_what_values_only_mix(name: str) -> None:
    """And keys of one token leave the tokens before it alone; the rotary part of the keys is none of these outputs."""
    backbone = families.backbone(name)
    whole, config = _wholes(backbone.shape, "kv_b_proj")[0], backbone.model.config
    parts = {part.role: part for part in whole.parts}
    assert {role: part.outputs // config.num_attention_heads for role, part in parts.items()} == {
        "k": config.qk_nope_head_dim,
        "v": config.v_head_dim,
    }
    assert sorted(place for part in whole.parts if part.share for place in part.share.places()) == list(range(whole.outputs))
    plain = attended(backbone, whole, "o", lambda y: y)
    moves = (attended(backbone, whole, "o", moved_by(parts["k"], 1.0, token=2)) - plain).abs().amax(1) > 1e-5
    assert moves.tolist() == [token >= 2 for token in range(6)]
    bent = {}
    for role, part in parts.items():
        once, twice = (attended(backbone, whole, "o", moved_by(part, times)) for times in (1.0, 2.0))
        bent[role] = float((twice - 2 * once + plain).abs().max() / plain.abs().max()) > 1e-5
    assert bent == {"k": True, "v": False}


@pytest.mark.parametrize("name", LATENTS)
def test_latent_queries_are_queries_and_a_prefix_is_refused(name: str) -> None:
    backbone = families.backbone(name)
    shape, config = backbone.shape, backbone.model.config
    queries = shape.select(modules="q")
    assert {site.outputs for site in queries} == {config.num_attention_heads * (config.qk_nope_head_dim + config.qk_rope_head_dim)}
    assert {site.inputs for site in queries} == {config.q_lora_rank or shape.width}
    with pytest.raises(WrongInput, match=r"no self-attention with its own keys .*; use a soft prompt or lora"):
        count("prefix", {"prefix_length": 2}, shape)


@pytest.mark.parametrize("name", GATES)
def test_what_a_gate_multiplies_is_the_other_half(name: str) -> None:
    backbone = families.backbone(name)
    whole = _wholes(backbone.shape, "gate_up")[0]
    plain = attended(backbone, whole, "down", lambda y: y)
    for part in whole.parts:
        once, twice = (attended(backbone, whole, "down", moved_by(part, times)) for times in (1.0, 2.0))
        assert ((twice - 2 * once + plain).abs().max() < 1e-4 * plain.abs().max()) == (part.role == "up")


class Split(nn.Module):
    """A fused linear taken apart: a linear of its own for every role, whose outputs are put together as the family lays them out."""

    def __init__(self, whole: nn.Module, linear: Linear) -> None:
        super().__init__()
        self.places = {part.role: part.share.places() for part in linear.parts if part.share}
        self.outputs = linear.outputs
        for part in linear.parts:
            own, bias = nn.Linear(part.inputs, part.outputs, bias=part.bias), bias_of(whole, part)
            own.weight.data = weight_of(whole, part).clone()
            if bias is not None:
                own.bias.data = bias.clone()
            self.add_module(part.role, own)

    def forward(self, x: Tensor) -> Tensor:
        y = x.new_zeros(*x.shape[:-1], self.outputs)
        for role, places in self.places.items():
            y[..., places] = self.get_submodule(role)(x)
        return y


@pytest.mark.parametrize(("name", "role"), ROLES)
@torch.no_grad()
def test_lora_on_one_role_is_lora_on_a_linear_of_its_own(name: str, role: str) -> None:
    """The fused linear taken apart, W + B A in the one that has the role; where q is a linear of its own, in that."""
    tuned, backbone = method("lora").create({"rank": 2, "alpha": 2.0, "modules": role}), families.backbone(name)
    pack, inputs = moved(backbone, tuned), padded(encode(backbone, rows(), max_tokens=40), pad=0)
    found = trained_reading(backbone, pack, inputs)
    apart, values = copy.deepcopy(backbone.model), {key: value[0] for key, value in bound_values(pack)[0].items()}
    for site in tuned.sites(backbone.shape):  # type: ignore[attr-defined]
        own: nn.Module = apart.get_submodule(site.name)
        if site.share is not None:
            (whole,) = backbone.shape.whole([site])
            split = Split(own, whole)
            apart.set_submodule(site.name, split)
            own = split.get_submodule(role)
        w = weight_of(own)
        b, a = tuned.factors(local(values, site.key), site, w)  # type: ignore[attr-defined]
        w += b @ a
    nothing = Pack([[]], device=backbone.device)
    wanted = trained_reading(replace(backbone, model=apart), nothing, inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert (found - trained_reading(backbone, nothing, inputs)).abs().max() > 0.01


@pytest.mark.parametrize(("family", "name"), EXPORTED)
@torch.no_grad()
def test_parts_leave_exactly(family: str, name: str) -> None:
    """As PEFT's own modules compute them, and folded into the weights."""
    backbone = families.backbone(family)
    plain, values = METHODS[name]
    tuned = method(plain).create(values)
    assert any(site.share for site in tuned.sites(backbone.shape))  # type: ignore[attr-defined]
    forms = forms_of(plain, values, backbone.shape, Reading(40))
    assert set(forms.exact) == {"native", "peft", "merged"}
    with quiet():
        assert distance(backbone, tuned, texts(paired=False)) < CLOSE
    pack, folded = moved(backbone, tuned), load(ModelSpec(str(families.folder(family)), dtype="float32", device="cpu"))
    inputs = padded(encode(backbone, rows(), max_tokens=40), pad=0)
    merged.fold(folded, moved(folded, tuned))
    found, wanted = trained_reading(folded, Pack([[]], device=folded.device), inputs), trained_reading(backbone, pack, inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_waves_of_a_fused_linear_are_refused_on_paper_for_peft() -> None:
    forms = forms_of("fourierft", {"modules": "q,v"}, families.backbone("gpt2").shape, Reading(40))
    assert forms.why_not("peft") == "PEFT draws waves for a fused linear as a whole, not for the roles that it holds; take native or merged"


def test_the_whole_of_a_fused_linear_is_one_linear_as_it_was() -> None:
    shape = families.backbone("gpt2").shape
    assert {site.role for site in shape.select(modules="qkv")} == {"qkv"}
    assert {site.role for site in shape.select(modules="all")} == {"qkv", "o", "up", "down"}
    assert [site.role for site in shape.select(modules="q,v", layers="first:1")] == ["q", "v"]
