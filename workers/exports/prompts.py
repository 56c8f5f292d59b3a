"""Prompts and prefixes as stock PEFT adapters: PROMPT_TUNING and PREFIX_TUNING."""

import torch
from peft import PeftConfig, PrefixTuningConfig, PromptTuningConfig, TaskType
from torch import Tensor

from ...spaces.errors import WrongInput
from ..configurable import file_name
from ..method import KeysValues, SoftPrompt
from ..model.backbone import Backbone
from ..model.sites import local

TASK_TYPES = {"encoder": TaskType.FEATURE_EXTRACTION, "decoder": TaskType.CAUSAL_LM, "encoder-decoder": TaskType.SEQ_2_SEQ_LM}
Tensors = dict[str, Tensor]
Built = tuple[PeftConfig, Tensors]


def soft_prompt(backbone: Backbone, method: SoftPrompt, values: Tensors) -> Built:
    """The virtual tokens as they stand, whatever computed them."""
    if type(method).embeddings is not SoftPrompt.embeddings:
        name = file_name(type(method))
        raise WrongInput(f"export: {name} also changes the text's embeddings, which PEFT cannot hold; use --format native")
    config = PromptTuningConfig(
        task_type=TASK_TYPES[backbone.family],
        num_virtual_tokens=method.length,
        num_transformer_submodules=1,
        token_dim=backbone.shape.width,
        num_layers=backbone.shape.layers,
        num_attention_heads=1,  # PEFT asks for a number and makes nothing of it: recurrent models have no heads
        inference_mode=True,
    )
    return config, {"prompt_embeddings": method.prompt(values)}


def keys_values(backbone: Backbone, method: KeysValues, values: Tensors) -> Built:
    """Columns K₀ V₀ K₁ V₁ … of every layer, (n, 2·layers·kv).

    For an encoder-decoder PEFT repeats the columns for two submodules and splits them by four, so that decoder layer l reads the
    pair 2l of as many as `num_layers` says: the real pairs stand in the even places of twice as many.
    """
    sites = method.sites(backbone.shape)
    pairs = [method.keys_values(local(values, site.key), site) for site in sites]
    if backbone.family == "encoder-decoder":
        nothing = torch.zeros_like(pairs[0][0])
        pairs = [pair for real in pairs for pair in (real, (nothing, nothing))]
    config = PrefixTuningConfig(
        task_type=TASK_TYPES[backbone.family],
        num_virtual_tokens=method.length,
        num_transformer_submodules=2 if backbone.family == "encoder-decoder" else 1,
        token_dim=sites[0].kv,
        num_layers=len(pairs),
        num_attention_heads=sites[0].kv_heads,
        inference_mode=True,
    )
    return config, {"prompt_embeddings": torch.cat([tensor for pair in pairs for tensor in pair], -1)}
