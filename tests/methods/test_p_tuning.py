"""P-tuning's equation by hand, agreement with peft's prompt encoder, and its start."""

from typing import Any

import pytest
import torch

from ulpt_search.workers.methods.p_tuning import PTuning

from ..shapes import shape


def test_equation() -> None:
    p = {"x": torch.tensor([[1.0, 2.0]]), "W1": torch.tensor([[1.0, 1.0]]), "b1": torch.tensor([1.0])}
    p |= {"W2": torch.tensor([[-1.0]]), "b2": torch.tensor([6.0]), "W3": torch.tensor([[1.0], [2.0]]), "b3": torch.tensor([0.0, 1.0])}
    assert PTuning(prompt_length=1, hidden=1).prompt(p).tolist() == [[2.0, 5.0]]


def test_agrees_with_peft_on_prompt_and_count() -> None:
    from peft import PromptEncoder, PromptEncoderConfig

    method = PTuning(prompt_length=3, hidden=5)
    config = PromptEncoderConfig(
        num_virtual_tokens=3, token_dim=8, encoder_hidden_size=5, num_layers=1, num_attention_heads=1, num_transformer_submodules=1
    )
    theirs = PromptEncoder(config)
    layers: list[Any] = [theirs.mlp_head[0], theirs.mlp_head[2], theirs.mlp_head[4]]
    p = {"x": theirs.embedding.weight.detach()}
    p |= {f"W{i + 1}": layer.weight.detach() for i, layer in enumerate(layers)}
    p |= {f"b{i + 1}": layer.bias.detach() for i, layer in enumerate(layers)}
    torch.testing.assert_close(method.prompt(p), theirs(torch.arange(3)).detach())
    assert method.parameters(shape(width=8)) == sum(tensor.numel() for tensor in theirs.parameters())


def test_starts_at_the_scale_of_the_embeddings() -> None:
    method = PTuning(prompt_length=200, hidden=64)
    tensors = method.build(shape(width=64, rms=0.05), torch.Generator().manual_seed(0)).trainable
    assert float(method.prompt(tensors).square().mean().sqrt()) == pytest.approx(0.05, rel=0.35)
