"""The text part of a multimodal model's folder, where transformers has a text-only class for it."""

from collections.abc import Mapping

from transformers import PretrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from ...spaces.errors import WrongInput

KEYS: Mapping[str, str] = {r"^model\.language_model\.": "model.", r"^language_model\.": "", r"^model\.text_model\.": "model."}
"""What such folders call the text part's tensors, as patterns, and what its own class calls them."""


def is_whole(config: PretrainedConfig) -> bool:
    """Whether a configuration is that of a model that reads more than text."""
    return not config.is_encoder_decoder and config.get_text_config() is not config


def text_config(config: PretrainedConfig, name: str) -> PretrainedConfig:
    """Return the configuration of a multimodal model's text part; `WrongInput` where transformers has no class that is that alone."""
    text = config.get_text_config()
    if text.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise WrongInput(
            f"model {name}: a {config.model_type} reads more than text, and transformers has no class for its text part alone "
            f"({text.model_type}); give a text model"
        )
    text.tie_word_embeddings = getattr(config, "tie_word_embeddings", text.tie_word_embeddings)  # the head is the whole model's
    if hasattr(config, "quantization_config"):  # it is said of the whole folder
        text.quantization_config = config.quantization_config
    text._commit_hash = getattr(config, "_commit_hash", None)
    return text
