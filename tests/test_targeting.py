"""What a method is put on is what was asked for, in every family, and what it costs is counted once and before anything is loaded."""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import peft
import pytest
import torch
import transformers as hub
from peft.tuners.tuners_utils import BaseTunerLayer

from ulpt_search.benchmarks.tiny_families import empty
from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Linear, Shape
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.catalogue import axes_of, count, parts
from ulpt_search.workers.model.architecture import read_shape
from ulpt_search.workers.model.backbone import shape_of
from ulpt_search.workers.model.pack import build_parts
from ulpt_search.workers.peft_bridge import PeftTuner

from . import zoo

SMALL: dict[str, Any] = {"vocab_size": 70, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
V3: dict[str, Any] = {"vocab_size": 128_100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
V3 |= {"intermediate_size": 3072, "position_buckets": 256, "share_att_key": True, "pos_att_type": ["p2c", "c2p"]}
BUILT: dict[str, Callable[[], hub.PreTrainedModel]] = {
    "deberta-v2": lambda: hub.DebertaV2Model(hub.DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"])),
    "deberta": lambda: hub.DebertaModel(hub.DebertaConfig(**SMALL, relative_attention=True, pos_att_type=["c2p"])),
    "deberta-base": lambda: hub.DebertaModel(hub.DebertaConfig(relative_attention=True, pos_att_type=["c2p", "p2c"])),
    "deberta-v3-base": lambda: hub.DebertaV2Model(hub.DebertaV2Config(**V3, relative_attention=True)),
    "gpt-neox": lambda: hub.GPTNeoXForCausalLM(hub.GPTNeoXConfig(**SMALL)),
    "phi3": lambda: hub.Phi3ForCausalLM(hub.Phi3Config(**SMALL, num_key_value_heads=2, pad_token_id=0)),
    "bart": lambda: hub.BartModel(
        hub.BartConfig(
            vocab_size=70,
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=48,
            decoder_ffn_dim=48,
        )
    ),
}


@cache
def shape(family: str) -> Shape:
    with torch.device("meta"):
        return read_shape(BUILT[family]())


@pytest.mark.parametrize(
    ("family", "modules", "roles"),
    [
        ("deberta-v2", "q,v", {"q", "v"}),
        ("deberta-v2", "o,up,down", {"o", "up", "down"}),
        ("deberta", "q,v", {"q", "v"}),
        ("deberta", "qkv", {"qkv"}),
        ("gpt-neox", "q,k,v,o", {"q", "k", "v", "o"}),
        ("gpt-neox", "up,down", {"up", "down"}),
        ("phi3", "gate,up", {"gate", "up"}),
        ("bart", "q,v", {"q", "v", "cross_q", "cross_v"}),
        ("bart", "self_q,self_v", {"q", "v"}),
        ("bart", "cross_k", {"cross_k"}),
    ],
)
def test_roles_by_family(family: str, modules: str, roles: set[str]) -> None:
    chosen = shape(family).select(modules=modules)
    assert {linear.role for linear in chosen} == roles
    assert len({linear.key for linear in chosen}) == len(chosen)


def test_a_name_that_only_partly_matches_is_refused() -> None:
    with pytest.raises(WrongInput, match="this model has no 'no_such'; it has "):
        shape("deberta-v2").select(modules="q,no_such")


def test_to_peft_too_a_name_that_only_partly_matches_is_refused() -> None:
    with pytest.raises(WrongInput, match="this model has no 'no_such'; it has "):
        count("peft:lora", {"modules": "q,no_such"}, zoo.backbone("decoder").shape)


@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_peft_wraps_the_linears_that_were_asked_for_and_no_other(family: str) -> None:
    """Layers by number, in a list of blocks that PEFT's own pattern of names would have to guess."""
    bare, values = zoo.backbone(family).shape, {"layers": "1", "modules": "v,down"}
    (made,) = parts("peft:lora", values)
    assert isinstance(made, PeftTuner)
    model = peft.get_peft_model(zoo.model(family), made.config(made.targets(bare)))
    wrapped = {name.removeprefix("base_model.model.") for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
    assert wrapped == {linear.name for linear in bare.linears if linear.layer == 1 and linear.role in ("v", "down")} != set()


def test_layers_are_those_that_were_asked_for() -> None:
    assert {linear.layer for linear in shape("deberta-v2").select(layers="1", modules="q,v")} == {1}
    assert {linear.layer for linear in shape("bart").select(layers="last:50%", modules="v")} == {2, 3}


def test_all_linears_are_all_of_the_blocks() -> None:
    model = zoo.model("decoder")
    inside = [name for name, module in model.named_modules() if ".layers." in name and isinstance(module, torch.nn.Linear)]
    assert len(zoo.backbone("decoder").shape.select(modules="all")) == len(inside)


@pytest.mark.parametrize(
    ("family", "apart"),
    [
        ("mixtral", ("experts.gate_up_proj", "experts.down_proj")),
        ("deberta-v2", ("self.query_proj", "self.key_proj")),
        ("hunyuan_v1_moe", ("gate.wg", "experts.gate_up_proj", "experts.down_proj")),
        ("deepseek_v3", ("experts.gate_up_proj", "experts.down_proj")),
        ("llama", ()),
    ],
)
def test_what_no_method_touches_is_known(family: str, apart: tuple[str, ...]) -> None:
    assert set(read_shape(empty(family)).apart) == set(apart)


@pytest.mark.parametrize("family", ["deberta-v2", "deberta", "gpt-neox", "phi3", "bart"])
@pytest.mark.parametrize("name", ["lora", "ether", "loretta_rep", "lora_xs", "ia3"])
def test_the_usual_methods_fit_families_with_names_of_their_own(family: str, name: str) -> None:
    values: Hyperparameters = {"modules": "q,v"}
    (part,) = build_parts(0, parts(name, values), shape(family), 0)
    assert sum(tensor.numel() for tensor in part.tensors.trainable.values()) == count(name, values, shape(family)) > 0


def test_loretta_fits_the_backbone_of_its_paper() -> None:
    """DeBERTa-base with an adapter behind both output layers of a block: 24·(2·780 + 832), as the paper has but for its norms."""
    values: Hyperparameters = {"modules": "o,down", "rank": 5, "bottleneck": 64, "shape": "8x8x12x8x8"}
    assert count("loretta_adp", values, shape("deberta-base")) == 24 * (2 * 780 + 832) == 57_408


def test_ether_fits_the_backbone_of_its_paper_but_for_queries_and_keys() -> None:
    """DeBERTa-v3 sends its table of distances through q and k, too, which trials cannot share: 768·3 + 3072 a block without them."""
    assert count("ether", {"modules": "all"}, shape("deberta-v3-base")) == 12 * (3 * 768 + 3072)
    with pytest.raises(WrongInput, match=r"modules: this model has no 'q'; it has down, o, up, v"):
        count("ether", {"modules": "q,v"}, shape("deberta-v3-base"))


@pytest.mark.parametrize(("family", "extends"), [("deberta-v2", False), ("deberta", False), ("gpt-neox", True), ("bart", True)])
def test_a_family_that_would_ignore_a_prefix_is_refused_one(family: str, extends: bool) -> None:
    assert {attention.extends for attention in shape(family).attentions} == {extends}
    if extends:
        assert count("prefix", {"prefix_length": 2}, shape(family)) > 0
        return
    with pytest.raises(WrongInput, match="no self-attention"):
        count("prefix", {"prefix_length": 2}, shape(family))


def test_keys_of_a_fused_projection_are_as_wide_as_grouped_heads_make_them() -> None:
    """Phi-3 with 4 heads and 2 key heads of 8: 8·(4 + 2 + 2) outputs in one linear."""
    attention = shape("phi3").attentions[0]
    assert (attention.kv, attention.head_dim) == (16, 8)


def test_peft_counts_a_prompt_as_we_do() -> None:
    """By the one of its two counters that looks at the prompt."""
    backbone = zoo.backbone("encoder")
    config = peft.PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=20)
    stock = peft.get_peft_model(zoo.model("encoder"), config)
    ours = count("prompt", {"prompt_length": 20}, backbone.shape)
    assert ours == 20 * 32 == stock.get_nb_trainable_parameters()[0]


def unmeasured(site: Linear) -> Linear:
    """A linear and its parts without the size of their weights."""
    return dataclasses.replace(site, rms=0.0, parts=tuple(unmeasured(part) for part in site.parts))


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_counts_do_not_need_the_weights(family: str) -> None:
    """The shape from the configuration alone is the loaded one's, but for sizes of weights."""
    loaded, planned = zoo.backbone(family).shape, shape_of(ModelSpec(zoo.saved(family)))
    assert [unmeasured(site) for site in planned.linears] == [unmeasured(site) for site in loaded.linears]
    assert count("lora", {"modules": "all"}, planned) == count("lora", {"modules": "all"}, loaded)


def test_a_tuner_whose_count_follows_a_schedule_that_nobody_drives_is_refused() -> None:
    with pytest.raises(WrongInput, match="ADALORA cannot be tried here: it moves its ranks about"):
        axes_of("peft:adalora")
