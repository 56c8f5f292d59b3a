"""Prompt tuning: the prompt is the tensor itself."""

import pytest
import torch
from peft import PromptEmbedding, PromptTuningConfig, PromptTuningInit

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.dept import Dept
from ulpt_search.workers.methods.prompt import Prompt

from .. import zoo
from ..shapes import shape


def test_equation_and_count() -> None:
    method = Prompt(prompt_length=100)
    assert method.parameters(shape(width=768)) == 76_800
    tensors = method.build(shape(width=8, rms=0.1), torch.Generator().manual_seed(0)).trainable
    assert method.prompt(tensors) is tensors["E"]
    assert tensors["E"].shape == (100, 8)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_starts_from_different_tokens_of_the_vocabulary_whatever_the_model_is_computed_in(dtype: str) -> None:
    loaded = zoo.backbone("decoder", dtype)
    table = loaded.model.get_input_embeddings().get_parameter("weight").bfloat16().float()
    e = Prompt(prompt_length=5, init="vocabulary").build(loaded.shape, torch.Generator().manual_seed(0)).trainable["E"]
    found = [int((table == row).all(1).nonzero()[0, 0]) for row in e]
    assert len(set(found)) == 5


@pytest.mark.parametrize("text", ["w3 w1 w4", "red : w1 w5 w9 w2 w6 green w3 w5", "w7"])
@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_starts_from_a_text_as_peft_does(family: str, text: str) -> None:
    loaded = zoo.backbone(family, "bfloat16")
    config = PromptTuningConfig(
        task_type="FEATURE_EXTRACTION",
        num_virtual_tokens=7,
        token_dim=32,
        num_transformer_submodules=1,
        prompt_tuning_init=PromptTuningInit.TEXT,
        prompt_tuning_init_text=text,
        tokenizer_name_or_path=zoo.saved(family),
    )
    theirs = PromptEmbedding(config, loaded.model.get_input_embeddings()).embedding.weight
    method = Prompt(prompt_length=7, init="text", init_text=text)
    ours = method.build(loaded.shape, torch.Generator().manual_seed(0)).trainable["E"]
    assert torch.equal(ours, theirs.detach())
    assert len(ours.unique(dim=0)) == min(7, len(text.split()))


@pytest.mark.parametrize("method", [Prompt(init="text"), Dept(init="text", init_text=" ")])
def test_a_start_from_no_text_is_refused_before_launch(method: Prompt | Dept) -> None:
    with pytest.raises(WrongInput, match=r"init_text: empty, but init is text; give the text to start from, or take init: vocabulary"):
        method.parameters(shape(width=64))


def test_a_bare_shape_has_no_vocabulary_to_start_from() -> None:
    with pytest.raises(ValueError, match="needs a model whose weights are loaded"):
        Prompt(init="vocabulary").build(shape(width=8), torch.Generator())
