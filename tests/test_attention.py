"""The attention that all trials share: causal beside a prefix, sinks and caps by hand, and nothing swallowed."""

import pytest
import torch
from torch import Tensor, nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from ulpt_search.benchmarks.family_gates import LORA, PREFIX, Config, shaken
from ulpt_search.workers.model.attention import NAMES, Prefix, attention
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.training.trainer import bound_values

from . import families


@torch.no_grad()
def logits(backbone: Backbone, configs: list[Config], ids: Tensor) -> Tensor:
    """(trials, tokens, vocabulary) of the same tokens for every trial, without padding."""
    pack = shaken(backbone, configs)
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites, sites.bind(bound_values(pack), rows=1):
        embeds = backbone.embed(ids.expand(pack.size, -1))
        lengths = torch.full((pack.size,), ids.shape[-1])
        given = backbone.conventions.inputs(embeds, fronts=torch.zeros_like(lengths), lengths=lengths, shifts=sites.shifts(ids.device))
        found: Tensor = backbone.model(**given, use_cache=False).logits
    return found


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "gemma2", "gpt_oss", "phi3"])
def test_beside_a_prefix_no_token_sees_a_later_one_and_all_see_the_prefix(name: str) -> None:
    """Fewer queries than keys, and nothing padded: where a mask may be skipped and a triangle be aligned with the wrong corner."""
    backbone, ids = families.backbone(name), torch.tensor([[11, 12, 13, 14]])
    before = logits(backbone, [PREFIX, LORA], ids)
    after = logits(backbone, [PREFIX, LORA], torch.tensor([[11, 12, 13, 44]]))
    torch.testing.assert_close(after[:, :3], before[:, :3])
    assert ((after[:, 3] - before[:, 3]).abs().amax(-1) > 1e-3).all()
    apart = (before[0] - logits(backbone, [LORA, LORA], ids)[0]).abs().amax(-1)
    assert (apart > 1e-3).all(), "the first token has no other to look at than the prefix"


def test_every_name_has_a_mask_function_too() -> None:
    """Transformers makes no mask at all for an attention that has none of its own name."""
    for name in NAMES.values():
        assert name in ALL_ATTENTION_FUNCTIONS.valid_keys()
        assert name in ALL_MASK_ATTENTION_FUNCTIONS.valid_keys()


def test_a_prefix_shares_one_sum_with_keys_and_sinks_under_one_cap() -> None:
    """One query head of width 2, one key, one place of a prefix, a sink that takes most."""
    q, k, v = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[3.0, 0.5]]]]), torch.tensor([[[[1.0, 0.0]]]])
    module = nn.Module()
    module.ulpt_prefix = Prefix(torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[0.0, 1.0]]]]), torch.ones(1, 1, dtype=torch.bool))  # type: ignore[assignment]
    sink = torch.tensor([5.0])
    mixed, _ = attention(module, q, k, v, torch.zeros(1, 1, 1, 1), scaling=0.5, softcap=2.0, s_aux=sink)
    scores = torch.stack([2 * torch.tanh(torch.tensor(0.5 * score / 2)) for score in (2.5, 4.0)])
    shares = torch.cat([scores, sink]).exp() / torch.cat([scores, sink]).exp().sum()
    torch.testing.assert_close(mixed[0, 0, 0], torch.stack([shares[1], shares[0]]))
    assert mixed.sum() < 0.2, "what the sink takes is given to nobody"


def test_what_is_not_known_is_refused_and_what_comes_out_can_be_viewed() -> None:
    q = torch.randn(2, 4, 3, 8)
    with pytest.raises(ValueError, match="the attention of Module wants indices, which is not known here"):
        attention(nn.Module(), q, q, q, None, indices=torch.zeros(1))
    mixed, _ = attention(nn.Module(), q, q, q, None, sliding_window=4, indices=None)
    assert mixed.view(2, 3, 32).shape == (2, 3, 32)


def test_a_prefix_without_a_mask_is_an_error() -> None:
    module, q = nn.Module(), torch.randn(1, 1, 3, 2)
    module.ulpt_prefix = Prefix(q, q, torch.ones(1, 3, dtype=torch.bool))  # type: ignore[assignment]
    with pytest.raises(ValueError, match="a prefix of 3 needs an explicit attention mask, got None"):
        attention(module, q, q, q, None)
