"""What memory there is on this machine, and what training decides by it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import psutil
import torch

from ...spaces.shape import Shape
from ...spaces.space import ModelSpec, Training
from ..catalogue import parts
from ..model.backbone import Backbone, on_paper
from ..model.quantised import bytes_held, saved
from .heap import thrifty
from .memory import Memory, Pass, memory_of
from .trainer import pieces_of

SPARE = 0.9
"""Share of the free memory that a plan may fill: the rest is for what nobody counts."""
SMALL = 32
"""A model of which so many copies fit in the free memory needs no counting."""
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (("lora", {"rank": 4, "modules": "all"}), ("prompt", {"prompt_length": 10}))
"""A method that touches every linear, and one that makes rows longer: what the others need lies between or below."""


def free(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def room_on(devices: Sequence[torch.device]) -> int:
    """Bytes that are free for a base laid over devices, about as much on each: so many times what the fullest has."""
    return len(devices) * min(map(free, devices))


def pass_of(training: Training, *, tokens: int, trials: int, device: str, checkpointing: bool, told: int = 0) -> Pass:
    """The largest pass of a step: of long steps, a piece. `told` are the logits that a row's written answer takes."""
    rows = training.batch * trials
    count = pieces_of(training.batch, tokens=rows * tokens, logits=rows * told, device=device)
    return Pass(math.ceil(training.batch / count), tokens, trials, checkpointing, told)


def needed(spec: ModelSpec, shape: Shape, dtype: torch.dtype, size: Pass, *, kernel: str = "eager") -> Memory:
    """What training takes with the most demanding of `KINDS`, on paper."""
    model = on_paper(spec, dtype)
    found = [memory_of(model, shape, parts(*kind), size, kernel=kernel) for kind in KINDS]
    largest = max(found, key=lambda memory: memory.total)
    return replace(largest, base=largest.base - saved(model, shape.handling.quantization))


def checkpoints(backbone: Backbone, spec: ModelSpec, training: Training, *, tokens: int, told: int = 0) -> bool:
    """Whether blocks are computed again in backward: as asked for, or where one trial would not fit in what is free beside the model."""
    room, base = room_on(backbone.devices), bytes_held(backbone.model)
    if base * SMALL >= room:
        thrifty()
    if spec.checkpointing != "auto" or base * SMALL < room:
        return spec.checkpointing == "always"
    size = pass_of(training, tokens=tokens, trials=1, device=backbone.device.type, checkpointing=False, told=told)
    need = needed(spec, backbone.shape, backbone.dtype, size, kernel="eager" if backbone.device.type == "cpu" else "sdpa")
    return need.total - need.base > SPARE * room


def fits(
    backbone: Backbone, spec: ModelSpec, training: Training, trials: int, *, tokens: int, checkpointing: bool = False, told: int = 0
) -> bool:
    """Whether a pack of so many trials fits beside the model in what is free, on paper; small models are not counted."""
    room, base = room_on(backbone.devices), bytes_held(backbone.model)
    if base * SMALL < room:
        return True
    kind = backbone.device.type
    size = pass_of(training, tokens=tokens, trials=trials, device=kind, checkpointing=checkpointing, told=told)
    need = needed(spec, backbone.shape, backbone.dtype, size, kernel="eager" if kind == "cpu" else "sdpa")
    return need.total - need.base <= SPARE * room
