"""Frozen weights that the workers of one machine hold together.

A float32 safetensors file is mapped by transformers itself. Weights in another precision than the file's are each worker's own
copy; those are written once, in the precision they are used in, and mapped from there.
"""

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from .backbone import Backbone
from .node_cache import once
from .quantised import lying

MAPS = Path("/proc/self/maps")


def share_weights(backbone: Backbone, folder: Path | None) -> None:
    """Let a CPU model's weights be those of `folder`/weights, the same numbers, where they are this process's own copy so far.

    Tied weights stay tied. Does nothing without a folder and on other devices.
    """
    weights = lying(backbone.model)
    if folder is None or backbone.device.type != "cpu" or not private(weights.values()):
        return
    name = f"{backbone.fingerprint}-{str(backbone.dtype).removeprefix('torch.')}.safetensors"
    shared = once(folder / "weights" / name, lambda: weights)
    for key in weights.keys() & shared.keys():  # the name in the cache is of what a pass uses: of the rest, a file may hold less
        weights[key].data = shared[key]


def private(weights: Iterable[Tensor]) -> int:
    """Bytes of these that no file backs: this process's own. All of them where the system does not say."""
    ranges = _files()
    starts = [start for start, _ in ranges]
    return sum(weight.nbytes for weight in weights if not _inside(weight, ranges, starts))


def _inside(weight: Tensor, ranges: list[tuple[int, int]], starts: list[int]) -> bool:
    place = bisect_right(starts, weight.data_ptr()) - 1
    return place >= 0 and weight.data_ptr() + weight.nbytes <= ranges[place][1]


def _files() -> list[tuple[int, int]]:
    """The address ranges that are mapped from files, in order."""
    if not MAPS.exists():
        return []
    lines = [line.split(maxsplit=5) for line in MAPS.read_text(encoding="utf8").splitlines()]
    spans = [fields[0].split("-") for fields in lines if fields[4] != "0"]
    return sorted((int(start, 16), int(stop, 16)) for start, stop in spans)
