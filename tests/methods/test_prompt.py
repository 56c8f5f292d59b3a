"""Prompt tuning: the prompt is the tensor itself."""

import torch

from ulpt_search.workers.methods.prompt import Prompt

from ..shapes import shape


def test_equation_and_count() -> None:
    method = Prompt(prompt_length=100)
    assert method.parameters(shape(width=768)) == 76_800
    tensors = method.build(shape(width=8, rms=0.1), torch.Generator().manual_seed(0)).trainable
    assert method.prompt(tensors) is tensors["E"]
    assert tensors["E"].shape == (100, 8)
