"""A hub data set with named columns: `owner/name`, `owner/name:config`, or the folder of one on this machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets

from ...spaces.errors import Failure, WrongInput, one_line
from ...spaces.silence import silence
from ...spaces.space import TaskSpec
from .build import Known, task_from_tables
from .formats import wanted_of
from .labels import listed
from .splits import SPLIT_NAMES
from .table import Table
from .task import Task

NOTHING = Known()


def load_hub(spec: TaskSpec, known: Known = NOTHING) -> Task:
    """Return the task of the data set `spec.hub`; it is downloaded once, into the hub's own cache.

    What is `known` goes before what the data set says of itself.

    Raises `WrongInput` for an unknown data set, config or column, `Failure` where the hub cannot be reached.
    """
    source, config = _parts(str(spec.hub))
    loaded = _load(source, config)
    tables = {}
    for split, names in SPLIT_NAMES.items():
        found = next((name for name in names if name in loaded), None)
        if found is not None:
            tables[split] = _table(f"{spec.hub} {found}", loaded[found], spec, known.labels)
    if "train" not in tables:
        raise WrongInput(f"{spec.hub}: no train split; it has {listed(list(loaded))}")
    name = spec.name if spec.name != TaskSpec.name else Path(source).name
    return task_from_tables(name, tables, spec, replace(known, labels=known.labels or _label_names(loaded, spec.label)))


def _parts(hub: str) -> tuple[str, str | None]:
    """`owner/name:config` -> its name and its config; a colon inside a folder's name is part of the name."""
    source, colon, config = hub.rpartition(":")
    return (source, config or None) if colon and not Path(hub).exists() else (hub, None)


def _load(source: str, config: str | None) -> Mapping[str, "datasets.Dataset"]:
    try:
        with _quiet():
            loaded = datasets.load_dataset(source, config)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise WrongInput(f"{source}: {_why(error)}; check the name, or log in where it is gated") from error
    except (ConnectionError, TimeoutError) as error:
        offline = "HF_HUB_OFFLINE is set; unset it" if datasets.config.HF_HUB_OFFLINE else "check the network"
        raise Failure(f"{source}: the hub cannot be reached: {offline}, or download the data and give its folder as task.path") from error
    except (ValueError, RuntimeError, OSError, datasets.exceptions.DatasetsError) as error:
        raise WrongInput(f"{source}: cannot be read: {_why(error)}") from error
    return loaded  # type: ignore[no-any-return]


def _table(source: str, data: "datasets.Dataset", spec: TaskSpec, labels: Sequence[str] | None) -> Table:
    names = tuple(data.column_names)
    values = {name: data[name][:] for name in wanted_of(spec) if name in names}
    feature = _classes(data.features.get(spec.label))
    if feature is not None:
        # Where a definition knows as many labels, by its names.
        called = labels if labels and len(labels) == len(feature.names) else feature.names
        values[spec.label] = [_named(value, called) for value in values[spec.label]]
    return Table(source, names, values)


def _named(value: Any, names: Sequence[str]) -> object:
    """A label, or a list of them, by name, since -1 stands for "no label" there."""
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    return None if value is None or value < 0 else names[value]


def _classes(feature: Any) -> "datasets.ClassLabel | None":
    """What names the labels of a column: its own feature, or that of its lists."""
    inner = getattr(feature, "feature", feature)
    return inner if isinstance(inner, datasets.ClassLabel) else None


def _label_names(loaded: Mapping[str, "datasets.Dataset"], column: str) -> tuple[str, ...] | None:
    feature = _classes(next(iter(loaded.values())).features.get(column))
    return None if feature is None else tuple(feature.names)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars, retries and advice off the terminal: ours is the only voice there."""
    bars = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with silence("datasets", "huggingface_hub"):
            yield
    finally:
        if bars:
            datasets.enable_progress_bars()


def _why(error: BaseException) -> str:
    """What went wrong: the cause, where the library only says that something failed."""
    cause = error.__cause__ if isinstance(error, datasets.exceptions.DatasetGenerationError) and error.__cause__ else error
    return (one_line(str(cause)) or type(cause).__name__)[:300].rstrip(".")
