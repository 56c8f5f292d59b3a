"""A base too large for one GPU, over all that its process sees: whole blocks to each device, one behind the other.

Accelerate's dispatch, as transformers' `device_map` has it, once the model is loaded on the CPU: every block's inputs are brought to
where the block is, and what the model gives back to where its embeddings are. Adapters stay there, too, in one piece, and are brought to
each site as it runs (`sites.py`); their gradients come back the same way.
"""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel

from ...spaces.errors import WrongInput
from .architecture import blocks_of


def spread(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Bring a model that lies on the CPU to all GPUs that are seen, about as much to each; `WrongInput` where they do not hold it."""
    from accelerate import dispatch_model
    from accelerate.utils import get_balanced_memory

    places = places_of(model, dtype, get_balanced_memory(model, dtype=dtype, no_split_module_classes=whole_of(model)))
    outside = sorted({str(place) for place in places.values() if place in ("cpu", "disk")})
    if outside:
        raise WrongInput(
            f"model.device: split over {torch.cuda.device_count()} GPUs leaves parts of the model on the {' and '.join(outside)}; "
            "give more GPUs (--gpus-per-worker), or quantization: torchao-8bit or bnb-4bit"
        )
    dispatch_model(model, places, main_device=0, skip_keys=skipped(model))


def places_of(model: PreTrainedModel, dtype: torch.dtype, room: Mapping[int | str, int]) -> dict[str, int | str]:
    """Module -> the device that takes it, by the bytes of `room` on each; no block is cut."""
    from accelerate import infer_auto_device_map

    found: dict[str, int | str] = infer_auto_device_map(model, max_memory=room, no_split_module_classes=whole_of(model), dtype=dtype)
    return found


def whole_of(model: PreTrainedModel) -> list[str]:
    """Classes of blocks, whose insides belong together."""
    return sorted({type(block).__name__ for _, block in blocks_of(model)})


def skipped(model: PreTrainedModel) -> list[str]:
    """Arguments that stay where they are: caches have each layer's share on its own device."""
    named = getattr(model, "_skip_keys_device_placement", None) or []
    return [named] if isinstance(named, str) else list(named)
