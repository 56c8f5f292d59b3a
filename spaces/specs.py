"""Sections of a checked space file -> the frozen values that a study is made of."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from .document import Geometric, ModelSection, SpaceDocument, TaskSection
from .located_yaml import Invalid, KeyPath
from .metrics import exists, offered
from .space import ModelSpec, Objective, TaskSpec, Training
from .validation_errors import show

RECIPE = ("batch", "warmup", "clip", "schedule", "weight_decay", "beta1", "beta2", "epsilon", "class_weights")
"""Keys of a space file that are fields of `Training` as they stand."""

DATA = (".jsonl", ".json", ".csv", ".parquet")
"""Endings by which a task's name is recognised as a file."""


def model_spec(section: ModelSection, folders: Sequence[Path]) -> ModelSpec:
    """Return the model with a local folder made absolute; jobs run in other working folders. `folders` are searched in order."""
    name = section.name
    if name != ModelSpec.name and (_is_path(name) or _found(name, folders)):
        name = _located(name, folders)
    kept = section.quantization
    return ModelSpec(name=name, dtype=section.dtype, device=section.device, checkpointing=section.checkpointing, quantization=kept)


def task_spec(section: TaskSection, folders: Sequence[Path]) -> TaskSpec:
    """Return the task. A name that is a path or a hub id (`owner/name`) stands for `path` or `hub`."""
    if section.path and section.hub:
        raise Invalid("both path and hub; keep the one that holds the data", ("hub",))
    _check_metrics(section)
    given = section.model_dump()
    if not section.path and not section.hub and section.name:
        given |= _source(section.name, folders)
    if given["path"]:
        given["path"] = _located(given["path"], folders, at=("path",) if section.path else ())
    return TaskSpec(**{**given, "name": given["name"] or _title(given["path"] or given["hub"])})


def _check_metrics(section: TaskSection) -> None:
    named: list[tuple[KeyPath, str | None]] = [(("metric",), section.metric)]
    named += [(("metrics", place), name) for place, name in enumerate(section.metrics)]
    for at, name in named:
        if name is not None and not exists(name):
            raise Invalid(f"unknown metric {show(name)}; there are {offered(name)}", at)


def training(document: SpaceDocument) -> Training:
    """Return the recipe. Rungs follow from steps, or steps from the last rung, where one is left out."""
    steps, rungs = document.steps, document.rungs
    if isinstance(rungs, list):
        steps = steps or rungs[-1]
        listed = _increasing(rungs, steps)
    else:
        steps = steps or Training.steps
        listed = _geometric(rungs or Geometric(first=max(1, steps // 8)), steps)
    same = {key: getattr(document, key) for key in RECIPE}
    return Training(steps=steps, rungs=listed, **same)


def objectives(document: SpaceDocument) -> tuple[Objective, ...]:
    """Return the objectives, each once and the score among them: a search that ignores it would pick the smallest adapter."""
    given = document.objectives
    if len(set(given)) < len(given):
        raise Invalid(f"{show(given)} names one twice; keep each once", ("objectives",))
    if "score" not in given:
        raise Invalid(f"score must be among them, got {show(given)}; write [score, {', '.join(given)}]", ("objectives",))
    return tuple(given)


def _increasing(rungs: Sequence[int], steps: int) -> tuple[int, ...]:
    for number, (lower, upper) in enumerate(pairwise(rungs), start=1):
        if upper <= lower:
            raise Invalid(f"{upper} comes after {lower}; rungs must increase", ("rungs", number))
    if rungs[-1] != steps:
        way_out = f"end the rungs at {steps}, or leave one of the two out"
        raise Invalid(f"the last rung is {rungs[-1]} but steps is {steps}; {way_out}", ("rungs",))
    return tuple(rungs)


def _geometric(rungs: Geometric, steps: int) -> tuple[int, ...]:
    if rungs.first > steps:
        raise Invalid(f"the first rung is {rungs.first} but steps is {steps}; start at {max(1, steps // 8)}", ("rungs", "first"))
    listed, rung = [rungs.first], float(rungs.first)
    while listed[-1] < steps:
        rung = min(rung * rungs.factor, steps)
        listed.append(max(listed[-1] + 1, round(rung)))
    return tuple(listed)


def _source(name: str, folders: Sequence[Path]) -> dict[str, str | None]:
    if _is_path(name) or name.endswith(DATA) or (name != TaskSpec.name and _found(name, folders)):
        return {"path": name, "name": None}
    return {"hub": name, "name": None} if "/" in name else {}


def _title(source: str | None) -> str:
    """`/data/sst2`, `/data/sst2.jsonl` and `stanfordnlp/sst2:default` are all called sst2."""
    if source is None:
        return TaskSpec.name
    last = Path(source).name.partition(":")[0]
    return next((last.removesuffix(ending) for ending in DATA if last.endswith(ending)), last)


def _is_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~")) or text in (".", "..")


def _found(text: str, folders: Sequence[Path]) -> Path | None:
    places = (folder / Path(text).expanduser() for folder in folders)
    return next((place for place in places if place.exists()), None)


def _located(text: str, folders: Sequence[Path], at: tuple[str, ...] = ()) -> str:
    place = _found(text, folders)
    if place is None:
        raise Invalid(f"no such file or folder: {show(text)}, looked for in {' and '.join(map(str, folders))}", at)
    return str(place.resolve())
