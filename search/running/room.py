"""Whether this machine is one of a cluster's, and that has room for the workers that are asked of it."""

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.errors import WrongInput

MEMBER = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
own = ray.get_runtime_context().get_node_id()
sys.exit(not any(node["Alive"] for node in ray.nodes() if node["NodeID"] == own) and 77)
"""
"""Asked in a process of its own: without a raylet on this machine Ray ends whoever joins, in C++."""
NO_MEMBER, WAIT = 77, 120.0
"""Its status where the node is dead; seconds that it gets."""


def require_member(address: str) -> None:
    """Raise `WrongInput` where this machine is no living node of the cluster at an address; whatever else is wrong, Ray says itself."""
    try:
        asked = subprocess.run([sys.executable, "-P", "-c", MEMBER, address], capture_output=True, timeout=WAIT, check=False).returncode
    except subprocess.TimeoutExpired:
        asked = NO_MEMBER
    if asked < 0 or asked == NO_MEMBER:
        raise WrongInput(
            f"--address {address}: this machine is no node of that Ray cluster, or no longer, after it was out of reach for too long; "
            f"`ray start --address={address}` here, then the same command again"
        )


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
