"""What memory a worker's training takes, for `plan`: on paper, beside what is free."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...spaces.shape import Shape
from ...spaces.space import ModelSpec, Space

if TYPE_CHECKING:
    from ...workers.training.memory import Memory


@dataclass(frozen=True)
class MemoryPlan:
    """Of one worker that trains one trial at a time."""

    need: "Memory"
    dtype: str
    device: str
    checkpointing: bool
    """Whether blocks are computed again in backward, as asked for, or where a step would not fit otherwise."""
    free: int
    """Bytes free now."""
    export: int
    """Bytes of this machine that writing the best adapter for PEFT takes, with its proof; other formats take up to twice as much."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        own = {"dtype": self.dtype, "device": self.device, "checkpointing": self.checkpointing, "free": self.free, "export": self.export}
        return {**self.need.to_json(), **own}

    def __str__(self) -> str:
        """One line for people."""
        parts = {"the frozen model": self.need.base, "a trial": self.need.adapters + self.need.optimiser, "a step": self.need.activations}
        said = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in parts.items())
        how = " with blocks computed again in backward" * self.checkpointing
        counted = "" if self.need.counted else ", the step by estimate"
        total, left, export = (f"{size / 1e6:,.0f} MB" for size in (self.need.total, self.free, self.export))
        worker = f"memory of a worker in {self.dtype}: {total} ({said}){how}{counted}; {left} are free"
        return f"{worker}; an export as PEFT takes {export} in float32"


def memory_plan(space: Space, shape: Shape, *, tokens: int, told: int = 0) -> MemoryPlan:
    """Return what training takes with the most demanding kinds of methods, at rows of `tokens` tokens; `told` as `pass_of` has it."""
    import torch

    from ...workers.exports.room import memory_of
    from ...workers.model.devices import SPLIT, pick_dtype
    from ...workers.training.memory_here import SPARE, needed, pass_of, room_on

    device = torch.device(_kind(space.model))
    several = space.model.device == SPLIT and device.type == "cuda"
    every = [torch.device("cuda", index) for index in range(torch.cuda.device_count())] if several else [device]
    dtype, room = pick_dtype(space.model.dtype, device), room_on(every)

    def paper(*, again: bool) -> "Memory":
        size = pass_of(space.training, tokens=tokens, trials=1, device=device.type, checkpointing=again, told=told)
        return needed(space.model, shape, dtype, size, kernel="eager" if device.type == "cpu" else "sdpa")

    again = space.model.checkpointing == "always"
    need = paper(again=again)
    if space.model.checkpointing == "auto" and need.total > SPARE * room:
        again, need = True, paper(again=True)
    export = memory_of(space.model, "peft")
    return MemoryPlan(need, str(dtype).removeprefix("torch."), device.type, again, room, export)


def _kind(spec: ModelSpec) -> str:
    """cuda or cpu; of a machine without the GPU that is asked for, cpu."""
    import torch

    return "cuda" if torch.cuda.is_available() and not spec.device.startswith("cpu") else "cpu"
