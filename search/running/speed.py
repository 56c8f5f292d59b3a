"""How fast this machine trains a model in which way: measured before the first search in a home, remembered there for all later ones.

A measurement on a busy machine is doubted: it is said, what jobs really take is learnt as they come back (`job_costs.py`), and the next
command measures again, once. How a study computes is its own from the first command on: no later measurement changes it, as long as the
device is of that kind and knows the dtype. What was measured that way is remembered apart, for no new study is to follow it.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch

from ...spaces.errors import reason
from ...spaces.hashing import sha256_of_json
from ...spaces.identity import Numerics
from ...spaces.space import Execution, Space, TaskSpec
from ...workers.model.attention import Kernel
from ...workers.model.devices import native_dtypes
from ...workers.training.memory_here import fits
from ...workers.training.speed_measurement import Fastest, measure

if TYPE_CHECKING:
    from ...workers.model.backbone import Backbone
    from ...workers.tasks import Task

CPUS = Path("/proc/cpuinfo")
_KEYS = 2
"""Of what keys are made: under those of 1, a way that was kept to stood for all studies, and what a load had chosen was never doubted."""


@dataclass(frozen=True)
class Pace:
    """What a search of the same model and task on this machine can count on."""

    rate: float
    """Training steps of one trial per second that one worker makes."""
    rows: Mapping[str, int]
    """Split -> rows that are read to score a trial on it."""


@dataclass(frozen=True)
class SpeedCache:
    """What is remembered, in one file."""

    file: Path

    def read(self, key: str) -> Fastest | None:
        """Return what was found under a key; None where there is nothing, or nothing that can be read."""
        try:
            return Fastest.from_json(self._entries()[key])
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, key: str, found: Fastest, **about: object) -> None:
        """Remember what was found, and plain values beside it; what else is known under the key stays.

        The file is replaced as a whole, so that nobody reads half of it. Raises `OSError` where it cannot be written.
        """
        known = self._entries()
        before = known.get(key)
        entry = {**(before if isinstance(before, dict) else {}), **found.to_json(), **about}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        aside = self.file.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps({**known, key: entry}, indent=1), encoding="utf8")
        aside.replace(self.file)

    def pace(self, space: Space, *, threads: int) -> Pace | None:
        """Return what was measured last under a space's names, without looking at weights or texts; None where nothing was."""
        for entry in reversed(self._entries().values()):
            try:
                if entry["about"] == _about(space, threads):
                    return Pace(float(entry["rate"]), {split: int(entry["rows"][split]) for split in ("validation", "test")})
            except (ValueError, KeyError, TypeError):
                continue
        return None

    def _entries(self) -> dict[str, Any]:
        """Everything in the file; nothing where it is missing or damaged."""
        try:
            return dict(json.loads(self.file.read_text(encoding="utf8")))
        except (OSError, ValueError, TypeError):
            return {}


@dataclass(frozen=True)
class Speed:
    """What is known of one model and task on this machine."""

    found: Fastest | None
    """None where it could not be measured."""
    kept: Execution | None = None
    """How a study that was begun computes, measured or not."""

    @property
    def execution(self) -> Execution:
        """How workers are to compute."""
        return self.found.execution if self.found else self.kept or Execution()

    @property
    def rate(self) -> float | None:
        """Training steps of one trial per second that one worker makes."""
        return self.found.rate if self.found else None


def fastest(
    backbone: "Backbone",
    task: "Task",
    space: Space,
    *,
    threads: int,
    memory: SpeedCache,
    say: Callable[[str], None],
    begun: Numerics | None = None,
    anew: bool = False,
) -> Speed | None:
    """Return the fastest way, from memory or by trying, which `say` is told of; None where trying fails: a search can do without.

    A study that was `begun` keeps its numerics, even then. What is remembered is measured again where it is doubted, or `anew` is asked
    for.
    """
    kept = _kept(begun, backbone.device, space)
    key = partial(_key, backbone, task, space, threads)
    known = None if anew else _remembered(memory, key, kept)
    if known is not None and not known.doubtful:
        return Speed(known, kept)
    again = " again, for this machine was busy the last time" if known else ", once"
    say(f"trying what trains {space.model.name} fastest here{again}")
    tokens, dtype = space.task.max_tokens, space.model.dtype
    size = partial(fits, backbone, space.model, space.training, tokens=tokens)
    try:
        found = measure(backbone, task, space.training, dtype=dtype, threads=threads, max_tokens=tokens, fits=size, begun=kept)
    except RuntimeError as error:
        taken = "the study goes on as it was begun, its speed unknown" if kept else "the defaults are taken"
        say(f"could not be measured, so {taken}: {reason(error)}")
        return Speed(None, kept) if kept else None
    found = replace(found, tries=known.tries + 1) if known else found
    with suppress(OSError):  # a full disk is for the ledger to speak of
        memory.write(key(kept), found, about=_about(space, threads), rows={"validation": len(task.validation), "test": len(task.test)})
    say(f"fastest: {found} ({found.rate:.1f} training steps a second by one worker)")
    if found.starved:
        later = "; the next command measures again" if found.doubtful else ", as the last time; --measure tries once more"
        got = f"the measurement got {found.share:.0%} of its processors"
        say(f"this machine is busy: {got}, so times are guesses until jobs come back{later}")
    return Speed(found, kept)


def _remembered(memory: SpeedCache, key: Callable[[Execution | None], str], kept: Execution | None) -> Fastest | None:
    """What is known of the way that is `kept`, measured for it or found by new studies; of the fastest way where none is."""
    common = memory.read(key(None))
    if kept is None:
        return common
    return memory.read(key(kept)) or (common if common and common.execution == kept else None)


def _kept(begun: Numerics | None, device: torch.device, space: Space) -> Execution | None:
    """How a study that was begun computes; None where this device cannot do it that way, or the space asks for another dtype."""
    if begun is None or (begun.device == "cpu") != (device.type == "cpu") or begun.dtype not in native_dtypes(device):
        return None
    if begun.attention not in get_args(Kernel) or space.model.dtype not in ("auto", begun.dtype):
        return None
    return Execution(begun.dtype, begun.attention)  # type: ignore[arg-type] # one of those that were just looked for


def _key(backbone: "Backbone", task: "Task", space: Space, threads: int, kept: Execution | None) -> str:
    what: dict[str, object] = {
        "keys": _KEYS,
        "device": _device(backbone.device), "threads": threads, "torch": torch.__version__, "model": backbone.fingerprint,
        "task": task.digest, "dtype": space.model.dtype, "max_tokens": space.task.max_tokens, "training": asdict(space.training),
    }  # fmt: skip
    if space.task.scoring != TaskSpec.scoring:  # whole labels may cost several passes
        what["scoring"] = space.task.scoring
    if kept is not None:
        what["kept"] = asdict(kept)
    return sha256_of_json(what)[:16]


def _about(space: Space, threads: int) -> str:
    """A measurement as a person would name it; the key says the same by contents."""
    named = {"model": asdict(space.model), "task": asdict(space.task), "batch": space.training.batch, "threads": threads}
    return json.dumps(named, sort_keys=True, default=str)


def _device(device: torch.device) -> str:
    """The device's own name, with what a CPU's kernels are chosen by."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {torch.backends.cpu.get_cpu_capability()} {native_dtypes(device)} {_model_name()}"


def _model_name() -> str:
    """The processor's name, empty where the system does not say."""
    if not CPUS.exists():
        return platform.processor()
    lines = CPUS.read_text(encoding="utf8", errors="replace").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
