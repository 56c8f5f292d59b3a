"""What memory an export takes with its proof, before any of it is taken: a large model's is many times an adapter's."""

import psutil

from ...spaces.errors import Failure
from ...spaces.space import ModelSpec
from ..model.backbone import on_paper
from ..model.quantised import kind_of, saved
from ..training.memory import bytes_of

COPIES = {"native": 4, "peft": 2, "merged": 3}
"""Format -> how often the model is held at a time: to write, and to load again; native by our code, the plain library and plain hooks."""


def memory_of(model: ModelSpec, style: str) -> int:
    """Bytes that writing and proving an export takes: copies of the model in float32, of a base in few bits its linears as they are."""
    whole = on_paper(model)
    kind = kind_of(model.quantization, whole.config, model.name)  # a folder may hold few bits without being asked to
    return COPIES[style] * (bytes_of(whole) - saved(whole, kind))


def require_room(need: int) -> None:
    """Raise `Failure` where so many bytes are not free: the system would end this process, or another, in the middle of it."""
    free = psutil.virtual_memory().available
    if need > free:
        told = f"{need / 1e6:,.0f} MB of memory, and {free / 1e6:,.0f} are free"
        way = "`ulpt-search export` does it later, on another machine, or as --format peft, which takes least"
        raise Failure(f"export: proving it in float32 takes {told}; {way}")
