"""How many workers a run gets, and what each of them takes."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...spaces.errors import WrongInput
from ..request import Request

if TYPE_CHECKING:
    from .speed import Speed

PACKS = {"cpu": 4, "gpu": 8}
"""Trials that share a pass where nothing was measured. A CPU is busy with one trial already: there a larger pack only takes memory."""


@dataclass(frozen=True)
class Resources:
    """Worker processes, what each takes, and the largest pack of one."""

    workers: int
    cpus_per_worker: float
    gpus_per_worker: float
    pack: int

    def packed(self, request: Request, speed: "Speed | None") -> "Resources":
        """Return the same with packs of the size that was found to be fastest, unless the request says otherwise.

        It was found with a GPU's whole memory, so workers that share one keep the default.
        """
        shared = 0 < self.gpus_per_worker < 1
        found = None if speed is None or shared or request.pack else speed.found
        return self if found is None else replace(self, pack=found.pack)

    def __str__(self) -> str:
        """What a person is told."""
        share = f"{self.gpus_per_worker:g} GPU" if self.gpus_per_worker else f"{self.cpus_per_worker:g} CPU"
        return f"{self.workers} worker{'s' if self.workers > 1 else ''} of {share} each, packs of up to {self.pack}"


def resources(request: Request, *, cpus: int, gpus: int, split: bool = False) -> Resources:
    """Return what a run takes of a machine with `cpus` CPUs and `gpus` GPUs; of a model that is `split`, one worker takes all of these.

    Without `--workers`: one worker a GPU (more when `--gpus-per-worker` is a fraction), else one a CPU, since the threads
    of one small model on many cores mostly wait for each other. Raises `WrongInput` where the GPUs asked for are not there.
    """
    if request.address and request.workers is None:
        raise WrongInput(f"--address {request.address}: also give --workers N, since that cluster's size is not this machine's")
    most = float(gpus) if split else min(1.0, gpus)
    share = most if request.gpus_per_worker is None else request.gpus_per_worker
    if share and not gpus and not request.address:
        raise WrongInput(f"--gpus-per-worker {share:g}: this machine shows no GPU; leave it out to train on the CPU")
    workers = request.workers or max(1, int(gpus / share) if share else cpus)
    pack = request.pack or PACKS["gpu" if share else "cpu"]
    return Resources(workers, max(1.0, cpus // workers), share, pack)


def own_cpus() -> int:
    """Return the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_gpus() -> int:
    """Return the CUDA devices that torch sees."""
    import torch

    return torch.cuda.device_count()
