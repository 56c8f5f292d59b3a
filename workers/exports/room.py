"""What memory an export takes with its proof, before any of it is taken: a large model's is many times an adapter's."""

import psutil

from ...spaces.errors import Failure
from ...spaces.space import ModelSpec, Quantization
from ..model.backbone import on_paper
from ..model.quantised import saved
from ..training.memory import bytes_of

COPIES = {"native": 4, "peft": 2, "merged": 2}
"""Format -> how often the model is held at a time: to write, and to load again; native by our code, the plain library and plain hooks."""


def memory_of(model: ModelSpec, style: str, *, quantization: Quantization = "none") -> int:
    """Bytes that writing and proving an export takes: copies of the model in float32, of a base in few bits its linears as they are."""
    whole = on_paper(model)
    return COPIES[style] * (bytes_of(whole) - saved(whole, quantization))


def require_room(need: int) -> None:
    """Raise `Failure` where so many bytes are not free: the system would end this process, or another, in the middle of it."""
    free = psutil.virtual_memory().available
    if need > free:
        told = f"{need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} are free"
        raise Failure(f"export: proving it in float32 takes {told}; `ulpt-search export` does it later, or on another machine")
