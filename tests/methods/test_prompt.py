"""Prompt tuning: the prompt is the tensor itself."""

import pytest
import torch

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


def test_a_bare_shape_has_no_vocabulary_to_start_from() -> None:
    with pytest.raises(ValueError, match="needs a model whose weights are loaded"):
        Prompt(init="vocabulary").build(shape(width=8), torch.Generator())
