"""What a model does with embeddings, keys and values that somebody else hands it.

On that depends whether a prompt means elsewhere what it meant in training. Known without weights: the model may be on the meta device.
"""

import copy
import inspect
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from ...spaces.shape import Handling
from ...spaces.silence import silence
from .architecture import family_of
from .conventions import factors_of, positions_of, segments_of

CACHES = ("past_key_values", "cache")
"""What a forward calls the keys and values that it is handed; the second since transformers 5.24."""
WINDOWED = ("sliding_attention", "chunked_attention")
STATES = {"conv", "hybrid", "hybrid_sliding", "linear_attention", "mamba"}
"""What transformers calls layers that keep more, or else, than keys and values."""


def handling_of(model: PreTrainedModel) -> Handling:
    """Read a model's handling off its forward, its configuration and, of scaled embeddings, off what it computes."""
    arguments = inspect.signature(model.forward).parameters
    cached = any(name in arguments for name in CACHES) and not getattr(model, "_is_stateful", False) and not _mixed(model.config)
    counted = bool(model.config.is_encoder_decoder) and positions_of(model) is not None
    masked = family_of(model.config) == "encoder" and model.base_model is not model
    return Handling(segments_of(model), scales_ids(model), cached, counted, _window(model), masked, _classifies(model))


def _mixed(config: Any) -> bool:
    """Whether layers keep other states than keys and values, as convolutions do: a cache of these alone is none of theirs."""
    return bool(STATES & set(getattr(config, "layer_types", None) or ()))


def _classifies(model: PreTrainedModel) -> Literal["score", "pooler", ""]:
    """What stands between the hidden states and the classes of the family's own class for them, by its modules."""
    stock = _stock_classes(copy.deepcopy(model.config))
    layers = {} if stock is None else {name: own for name, own in stock.named_children() if not isinstance(own, nn.Dropout)}
    body = layers.pop(getattr(stock, "base_model_prefix", ""), None)
    name, layer = layers.popitem() if len(layers) == 1 else ("", None)
    if type(layer) is not nn.Linear:
        return ""
    if name == "score" and "bias" not in dict(layer.named_parameters()):
        return "score"
    return "pooler" if name == "classifier" and isinstance(getattr(body, "pooler", None), nn.Module) else ""


def _stock_classes(config: PretrainedConfig) -> PreTrainedModel | None:
    """The family's own class for classification, without numbers; None where there is none that can be built."""
    with torch.device("meta"), silence("transformers"):
        try:
            return AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-any-return]
        except (ValueError, TypeError, AttributeError, RuntimeError, NotImplementedError):
            return None


def _window(model: PreTrainedModel) -> int | None:
    """How far back the narrowest attention looks; None where all look back to the start."""
    config, kinds = model.config, getattr(model.config, "layer_types", None)
    if kinds is not None and not set(kinds) & set(WINDOWED):
        return None
    widths = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((int(width) for width in widths if width), default=None)


@torch.no_grad()
def scales_ids(model: PreTrainedModel) -> bool:
    """Whether a model's own call on token ids multiplies their embeddings by a factor that it spares embeddings it is given.

    Found by counting products with the factors that its modules carry, in a pass over ids and in one over embeddings.
    """
    table, factors = model.get_input_embeddings(), factors_of(model)
    weight: Tensor = table.weight  # type: ignore[assignment]
    if not factors:
        return False
    body: Any = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    ids = torch.ones(1, 3, dtype=torch.long, device=model.device)
    embeds = torch.zeros(1, 3, weight.shape[1], dtype=model.dtype, device=model.device)
    of_ids = _products(lambda: body(input_ids=ids)) - _products(lambda: table(ids))
    of_embeds = _products(lambda: body(inputs_embeds=embeds))
    return any(of_ids[factor] > of_embeds[factor] for factor in factors)


class _Products(TorchDispatchMode):
    """Notes the numbers that tensors are multiplied by."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by: list[float] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket is torch.ops.aten.mul:
            self.by += [float(value) for value in args if isinstance(value, int | float)]
        return func(*args, **(kwargs or {}))


def _products(call: Callable[[], object]) -> Counter[float]:
    """How often tensors are multiplied by which number in a call; up to where it fails, as some do on the meta device, but later."""
    with _Products() as noted, suppress(RuntimeError, NotImplementedError):
        call()
    return Counter(noted.by)
