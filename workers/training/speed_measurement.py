"""The fastest way to train a model on this machine: the dtype that its hardware multiplies, an attention kernel and a pack found by trying.

Which kernel is fastest cannot be read off a processor's name: PyTorch's fused attention is several times slower than two plain
products in bfloat16 on some CPUs, and faster in float32 on others. So a few training steps of the real model on the real task
decide, in turns, and whoever asks remembers the answer. What else the machine does meanwhile must not decide: on a CPU ways are
compared by the processor's time that they took, and how much of it they got says what the speed by the clock is worth.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any, Literal, get_args

import torch

from ...spaces.space import Dtype, Execution, Training
from ..catalogue import parts
from ..model.attention import Kernel, attend_by, name_of
from ..model.backbone import Backbone
from ..model.devices import native_dtypes
from ..model.pack import Pack, build_parts
from ..model.precision import cast
from ..model.readouts.choice import readout_of
from ..model.readouts.encoding import Encoded, encode
from ..model.readouts.readout import Readout
from ..optimizers.adamw import AdamW
from ..tasks import Rows, Task
from .processor_share import Got, share
from .trainer import Trainer

PACKS = {"cpu": (1, 2, 4, 8, 16), "cuda": (1, 2, 4, 8, 16, 32, 64)}
MARGIN = 1.1
"""Another kernel than the first is taken where it is this much cheaper: near ties always end alike."""
GAIN = 1.05
"""A larger pack is taken where it is this much faster: small ones let the search decide sooner."""
SECONDS, KERNEL_SECONDS = 5.0, 15.0
"""Larger packs, and before them dtypes and kernels, are tried for this long: of a large model on a CPU, only the first."""
ROWS, REPEATS = 256, 3
BUSY = 0.7
"""A measurement that got less of its processors than this says more of the machine's other work than of its speed."""
TRIES = 2
"""Measured so often on a busy machine, that is what the machine is like."""
TRIED, HEADED = ("ulpt", {"prompt_length": 10}), ("ulpt+head", {"ulpt.prompt_length": 10})
"""What a trial is, and what it is where nothing but a head reads the task."""


@dataclass(frozen=True)
class Fastest:
    """What was found, and the training steps of one trial per second that a worker makes that way."""

    execution: Execution
    pack: int
    rate: float
    share: float = 1.0
    """How much of the processors' time that it asked for the measurement got."""
    tries: int = 1
    """How often it was measured until now."""

    @property
    def starved(self) -> bool:
        """Whether the machine was too busy with something else for the rate to be believed."""
        return self.share < BUSY

    @property
    def doubtful(self) -> bool:
        """Whether that is a reason to measure again."""
        return self.starved and self.tries < TRIES

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Fastest":
        """Read what `to_json` wrote; raises `KeyError`, `TypeError` or `ValueError` where it is something else."""
        execution, pack = Execution(**data["execution"]), int(data["pack"])
        if execution.dtype not in get_args(Dtype) or execution.attention not in get_args(Kernel) or pack < 1:
            raise ValueError(f"no way to train: {data}")
        return cls(execution, pack, float(data["rate"]), float(data.get("share", 1.0)), int(data.get("tries", 1)))

    def __str__(self) -> str:
        """What a person is told."""
        kernel = {"eager": "plain attention", "sdpa": "fused attention", "auto": "attention by device"}[self.execution.attention]
        return f"{self.execution.dtype}, {kernel}, packs of up to {self.pack}"


def measure(
    backbone: Backbone,
    task: Task,
    training: Training,
    *,
    dtype: str,
    threads: int,
    max_tokens: int = 128,
    fits: Callable[[int], bool] = lambda size: True,
    begun: Execution | None = None,
) -> Fastest:
    """Find the fastest way; takes seconds, and leaves the model in whatever way it tried last.

    `dtype` other than `auto` is kept to, and so is the way in which a study was `begun`. `threads` are those a worker will have. Packs
    that do not fit in memory are not tried.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        some = encode(backbone, _some(task.train), max_tokens=max_tokens, template=task.template)
        stage = _Stage(backbone, readout_of(backbone, task), training, some)
        execution = begun or _kernel(stage, dtype)
        stage.use(execution)
        rates = grow(stage.rate, within(PACKS.get(backbone.device.type, PACKS["cpu"]), fits), seconds=SECONDS)
    finally:
        torch.set_num_threads(before)
    pack = smallest(rates)
    return Fastest(execution, pack, stage.rates_by_the_clock[pack], stage.share())


def grow(rate: Callable[[int], float], sizes: Sequence[int], *, seconds: float) -> dict[int, float]:
    """Trial-steps per second by size of the pack, as long as memory, time and gains last; the first size always."""
    began, rates = time.perf_counter(), dict[int, float]()
    for size in sizes:
        try:
            rates[size] = rate(size)
        except torch.OutOfMemoryError:
            if not rates:
                raise
            break
        late = time.perf_counter() - began > seconds
        if late or (len(rates) > 2 and rates[size] < GAIN * max(value for key, value in rates.items() if key < size)):
            break
    return rates


def within(sizes: Sequence[int], fits: Callable[[int], bool]) -> tuple[int, ...]:
    """The sizes up to the first that does not fit; the first one always."""
    return (sizes[0], *takewhile(fits, sizes[1:]))


def smallest(rates: dict[int, float]) -> int:
    """The smallest pack that no other beats by more than `GAIN`."""
    best = max(rates.values())
    return min(size for size, rate in rates.items() if rate * GAIN >= best)


def _kernel(stage: "_Stage", dtype: str) -> Execution:
    """The cheapest of the kernels that there was time for, a pack of one each, in turns; of each the best turn counts."""
    candidates, began = list(_candidates(stage.backbone, dtype)), time.perf_counter()
    seconds: dict[Execution, list[float]] = defaultdict(list)
    for candidate in candidates * REPEATS:
        if seconds and time.perf_counter() - began > KERNEL_SECONDS:
            break
        stage.use(candidate)
        seconds[candidate].append(1 / stage.rate(1))
    return cheapest({candidate: min(tried) for candidate, tried in seconds.items()})


def cheapest(seconds: Mapping[Execution, float]) -> Execution:
    """The first way, unless another is cheaper by more than `MARGIN`: then the cheapest."""
    first, best = next(iter(seconds)), min(seconds, key=lambda candidate: seconds[candidate])
    return best if seconds[best] * MARGIN < seconds[first] else first


def _candidates(backbone: Backbone, dtype: str) -> Iterator[Execution]:
    """What to try, first what would be taken without trying. The dtype is the hardware's: a load must not decide on numerics."""
    kernels: tuple[Literal["eager", "sdpa"], ...] = ("eager", "sdpa") if backbone.device.type == "cpu" else ("sdpa", "eager")
    one = native_dtypes(backbone.device)[-1] if dtype == "auto" else dtype
    yield from (Execution(one, kernel) for kernel in kernels)  # type: ignore[arg-type] # a ModelSpec's dtype is one of these


@dataclass
class _Stage:
    """A model with a few rows of its task, to be timed on."""

    backbone: Backbone
    readout: Readout
    training: Training
    data: Encoded
    rates_by_the_clock: dict[int, float] = field(default_factory=dict)
    """Trial-steps a second by size of the pack, as tried last."""
    got: list[Got] = field(default_factory=list)
    """What all that was timed got of the processors."""

    def share(self) -> float:
        """How much of the processors' time that it asked for the timed work got; 1 where that says nothing, for it ran on a device."""
        return share(self.got) if self.backbone.device.type == "cpu" else 1.0

    def use(self, execution: Execution) -> None:
        """Set the model up that way."""
        cast(self.backbone.model, getattr(torch, execution.dtype))
        attend_by(self.backbone.model, name_of(execution.attention))

    def rate(self, size: int) -> float:
        """Trial-steps per second of a pack of this many ULPT trials, after a step to warm up; on a CPU, per second of one processor."""
        chosen = parts(*HEADED) if self.backbone.shape.answers.needs_head else parts(*TRIED)
        built = [build_parts(k, chosen, self.backbone.shape, k) for k in range(size)]
        pack, rule, seeds = Pack(built, device=self.backbone.device), AdamW(), list(range(size))
        trainer, state = Trainer(self.backbone, self.readout, self.training), rule.start(pack)

        def timed(start: int, stop: int) -> tuple[float, float]:
            before, began = Got.now(), time.process_time()
            wall = trainer.train(pack, rule, state, seeds, self.data, start=start, stop=stop).seconds
            self.got.append(Got.now() - before)
            return wall, time.process_time() - began

        steps, (wall, computing) = 1, timed(0, 1)
        if wall <= SECONDS:
            steps, (wall, computing) = 2, timed(1, 3)
        self.rates_by_the_clock[size] = steps * size / wall
        return steps * size / (computing if self.backbone.device.type == "cpu" else wall)


def _some(rows: Rows) -> Rows:
    """Rows from all over the split, `ROWS` at most."""
    step = max(1, len(rows) // ROWS)
    return rows.take(range(0, len(rows), step))
