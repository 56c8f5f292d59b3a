"""Whether a cluster has room for the workers that are asked of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.errors import WrongInput


def check_room(described: Sequence[Mapping[str, Any]], workers: int, *, cpus: float, gpus: float) -> None:
    """Raise `WrongInput` when the nodes that Ray describes cannot hold the workers; Tune would wait for ever."""
    nodes: list[Mapping[str, float]] = [node["Resources"] for node in described if node["Alive"]]
    room = sum(int(min(_times(node, "CPU", cpus), _times(node, "GPU", gpus), workers)) for node in nodes)
    if room < workers:
        has = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise WrongInput(
            f"--workers {workers}: each takes {cpus:g} CPUs and {gpus:g} GPUs, and the cluster ({has}) has room for {room}; "
            "take fewer workers or give each less"
        )


def _times(node: Mapping[str, float], resource: str, share: float) -> float:
    return node.get(resource, 0.0) / share + 1e-6 if share else math.inf
