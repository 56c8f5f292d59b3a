"""BitFit's equation by hand, and its refusal where there is no bias."""

import pytest
import torch
import transformers

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.shape import Norm, Shape
from ulpt_search.workers.methods.bitfit import Bitfit
from ulpt_search.workers.model.architecture import read_shape

from ..shapes import linear, shape


def test_equation() -> None:
    p, y = {"delta": torch.tensor([1.0, -1.0])}, torch.tensor([[5.0, 5.0]])
    assert Bitfit().after(p, linear(2, 2), y, y, torch.eye(2)).tolist() == [[6.0, 4.0]]


def test_published_count_on_qwen() -> None:
    assert Bitfit(modules="q,k,v").parameters(shape(width=896, kv=128, layers=24, bias=True)) == 27_648


def test_a_model_without_biases_is_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match="none of this model's 'all' linears has a bias; use ia3 or lora instead"):
        Bitfit().parameters(shape(width=8))


BERT = transformers.BertConfig(vocab_size=30_522, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)


@pytest.fixture(scope="module")
def bert() -> Shape:
    with torch.device("meta"):
        return read_shape(transformers.BertModel(BERT))


def test_published_counts_on_bert_base(bert: Shape) -> None:
    """The paper: about 0.09 % of 110 million, of which b_q and b_m2 are not half; the pooler, which nobody reads here, has 768 more."""
    per_layer = 4 * 768 + 3072 + 768 + 2 * 768
    assert Bitfit().parameters(bert) == 12 * per_layer + 768 == 102_144
    assert Bitfit(modules="q,up", norm_biases=False).parameters(bert) == 12 * (768 + 3072)


def test_a_norm_is_shifted_and_not_scaled() -> None:
    norm = Norm("norm", 0, "norm", 2, bias=True)
    scale, shift = Bitfit().affine({"delta": torch.tensor([3.0, 4.0])}, norm)
    assert scale is None
    assert shift is not None
    assert shift.tolist() == [3.0, 4.0]


def test_norms_outside_the_layers_belong_to_all(bert: Shape) -> None:
    assert [norm.layer for norm in Bitfit(layers="last:1").norms(bert)] == [11, 11]
    assert -1 in [norm.layer for norm in Bitfit().norms(bert)]
