"""Prefix tuning inside the attention by hand, published floors, agreement with peft on the count, mixed lengths, and its refusal."""

from dataclasses import replace

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Attention
from ulpt_search.workers.methods.prefix import Prefix
from ulpt_search.workers.model import attention

from .. import toy, zoo
from ..shapes import shape


def test_equation() -> None:
    p = {"Pk": torch.tensor([[0.0, 0.0]]), "Pv": torch.tensor([[4.0, 0.0]])}
    keys, values = Prefix(prefix_length=1).keys_values(p, Attention("a", 0, 1, 1, 2))
    module, ones = torch.nn.Identity(), torch.ones(1, 1, dtype=torch.bool)
    module.ulpt_prefix = attention.Prefix(keys[None, None], values[None, None], ones)  # type: ignore[assignment]
    token = torch.tensor([[[[0.0, 2.0]]]])
    mixed, _ = attention.attention(module, torch.zeros(1, 1, 1, 2), token, token, torch.zeros(1, 1, 1, 1))
    assert mixed.flatten().tolist() == [2.0, 1.0]  # equal scores: the mean of (4, 0) and (0, 2)


@pytest.mark.parametrize(("width", "kv", "layers", "published"), [(2048, 512, 16, 16_384), (896, 128, 24, 6_144), (576, 192, 30, 11_520)])
def test_published_floors(width: int, kv: int, layers: int, published: int) -> None:
    heads = 32 if width == 2048 else width // 64
    assert Prefix(prefix_length=1).parameters(shape(width=width, kv=kv, layers=layers, heads=heads)) == published


def test_agrees_with_peft_on_the_count() -> None:
    from peft import PrefixTuningConfig, TaskType, get_peft_model

    theirs = get_peft_model(zoo.model("decoder"), PrefixTuningConfig(task_type=TaskType.CAUSAL_LM, num_virtual_tokens=3))
    assert Prefix(prefix_length=3).parameters(zoo.backbone("decoder").shape) == theirs.get_nb_trainable_parameters()[0]


@pytest.mark.parametrize("family", ["encoder", "decoder", "encoder-decoder"])
def test_prefixes_of_different_lengths_share_a_pack(family: str) -> None:
    backbone = zoo.backbone(family)
    configs: list[toy.Config] = [("prefix", {"prefix_length": 5}, 1), ("prefix", {"prefix_length": 2}, 2), ("prefix+pruned_prefix", {}, 3)]
    _, _, scores = toy.train(backbone, configs, steps=3)
    for position, config in enumerate(configs):
        torch.testing.assert_close(scores[position], toy.train(backbone, [config], steps=3)[2][0], rtol=1e-5, atol=1e-5)


def test_a_model_without_attentions_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match="no self-attention with its own keys in layers 'all'; use a soft prompt or lora"):
        Prefix().parameters(replace(shape(width=8), attentions=()))
