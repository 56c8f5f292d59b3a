"""A task on this machine: a folder with train/validation(/test) files and perhaps a `meta.json`, or one file that is split.

`meta.json` may hold labels (in the order of their numbers), metric, kind and group: `{"labels": ["negative", "positive"], "metric": "f1"}`.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind, exists, offered
from ...spaces.metrics import metric as metric_called
from ...spaces.space import TaskSpec
from .build import Known, task_from_tables
from .composed import text_columns
from .files import READERS, read_table, read_text
from .formats import wanted_of
from .splits import SPLIT_NAMES
from .table import describe
from .task import METRICS, Task

ALIASES: Mapping[str, str] = {"matthews_correlation": "matthews", "pearsonr": "pearson", "spearmanr": "spearman"}
"""Other names of metrics that `meta.json` may use."""
NOTHING = Known()


def load_local(spec: TaskSpec, defined: Known = NOTHING, named: TaskSpec | None = None) -> Task:
    """Return the task at `spec.path`, of which `defined` holds where its own `meta.json` is silent.

    `named` is the spec with the columns of a definition, which are taken where the training rows have all of them.

    Raises `WrongInput` with file and line for whatever cannot be used.
    """
    path = Path(str(spec.path)).expanduser()
    files = _files(path)
    said = _meta(path / "meta.json") if (path / "meta.json").is_file() else NOTHING
    known = Known(said.kind or defined.kind, said.labels or defined.labels, said.metric or defined.metric, said.group or defined.group)
    wanted = (*wanted_of(spec), *wanted_of(named or spec), *([known.group] if known.group else []))
    tables = {split: read_table(file, wanted) for split, file in files.items()}
    names = tables["train"].names
    if named is not None and _has(named, names):
        spec = replace(named, group=spec.group or (named.group if named.group in names else None))
    spec = replace(spec, group=spec.group or known.group)
    name = spec.name if spec.name != TaskSpec.name else path.stem
    return task_from_tables(name, tables, spec, known)


def _has(spec: TaskSpec, names: Collection[str]) -> bool:
    """Whether columns are all that a task's texts and answers are made of."""
    return {*text_columns(spec.text_a, spec.text_b), spec.answer or spec.label} <= set(names)


def _files(path: Path) -> dict[str, Path]:
    """Split -> its file; a single file is all training rows."""
    if path.is_file():
        if path.suffix not in READERS:
            raise WrongInput(f"{path}: its ending is {path.suffix or 'missing'}; wanted {', '.join(READERS)}")
        return {"train": path}
    if not path.is_dir():
        beside = [str(other) for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise WrongInput(f"{path}: no such file or folder; give one with data in it.{did_you_mean(str(path), beside)}")
    files = {split: file for split, names in SPLIT_NAMES.items() if (file := _split_file(path, names))}
    if "train" not in files:
        there = sorted(other.name for other in path.iterdir())
        has = f"it has {', '.join(there[:10])}" if there else "it is empty"
        raise WrongInput(f"{path}: no train.jsonl, train.csv or train.parquet; {has}.{did_you_mean('train.jsonl', there)}")
    return files


def _split_file(folder: Path, names: tuple[str, ...]) -> Path | None:
    found = [folder / f"{name}{ending}" for name in names for ending in READERS if (folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise WrongInput(f"{folder}: both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None


def _meta(path: Path) -> Known:
    try:
        meta = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise WrongInput(f"{path}:{error.lineno}: not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(meta, dict):
        raise WrongInput(f"{path}: {describe(meta)}, wanted a JSON object with keys such as labels and metric")
    kind = _kind(path, meta)
    return Known(kind, _labels(path, meta), _metric(path, meta, kind), _group(path, meta))


def _group(path: Path, meta: Mapping[str, Any]) -> str | None:
    given = meta.get("group")
    if given is not None and not (isinstance(given, str) and given):
        raise WrongInput(f"{path}: group is {describe(given)}, wanted the name of the column that says which rows belong together")
    return given


def _kind(path: Path, meta: Mapping[str, Any]) -> Kind | None:
    given = meta.get("kind")
    for kind in METRICS:
        if given == kind:
            return kind
    if given is None:
        return None
    raise WrongInput(f"{path}: kind is {given!r}; wanted {', '.join(METRICS)}.{did_you_mean(str(given), METRICS)}")


def _labels(path: Path, meta: Mapping[str, Any]) -> tuple[str, ...] | None:
    given = meta.get("labels")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(label, str) and label.strip() for label in given):
        raise WrongInput(f'{path}: labels is {describe(given)}, wanted a list of names such as ["negative", "positive"]')
    if len(given) < 2 or len(set(given)) < len(given):
        raise WrongInput(f"{path}: labels {', '.join(given) or 'is empty'}: wanted two different names or more")
    return tuple(given)


def _metric(path: Path, meta: Mapping[str, Any], kind: Kind | None) -> str | None:
    """The first metric in the file's list (`accuracy,f1`) that fits the kind."""
    given = meta.get("metric")
    if given is None:
        return None
    listed = [name.strip() for name in str(given).split(",")]
    names = [ALIASES.get(name, name) for name in listed]
    allowed = METRICS[kind] if kind else tuple(dict.fromkeys(name for metrics in METRICS.values() for name in metrics))
    if names[0] not in allowed and not (exists(names[0]) and (kind is None or kind in metric_called(names[0]).kinds)):
        raise WrongInput(f"{path}: metric is {given!r}; wanted {offered(names[0], allowed)}")
    return names[0]
