"""YAML -> `Space`. Every error is one line that names file, line and key, what was given, what was wanted and the nearest right answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from .axes import Axis
from .document import GEOMETRIC, LISTED, NAMED, WEIGHTED, Geometric, ModelSection, SpaceDocument, TaskSection
from .errors import WrongInput, did_you_mean
from .json_schema import json_schema
from .located_yaml import Document, read_yaml
from .overrides import override
from .space import Space
from .space_json import space_from_json, space_to_json
from .specs import model_spec, objectives, task_spec, training
from .user_methods import Catalogue, nested, read_methods
from .validation_errors import check, show

__all__ = ["Axes", "Catalogue", "json_schema", "load_space", "shipped_spaces", "space_from_json", "space_to_json"]

Axes = Mapping[str, Mapping[str, Axis]]
"""Method -> hyperparameter -> its own axis."""

_SECTIONS = (SpaceDocument, ModelSection, TaskSection, Geometric)


def shipped_spaces() -> dict[str, Path]:
    """Name -> file of the spaces that come with the package."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_space(source: str, *, catalogue: Catalogue, overrides: Sequence[str] = ()) -> Space:
    """Return the space at `source`, a path or a shipped name, with every hyperparameter of every method filled in.

    `overrides` are dotted `key=value` texts laid over the file. A relative path in the file is looked for in the working
    folder, then beside the file, and made absolute. Raises `WrongInput`, one line, for whatever cannot be used.
    """
    path = _find(source)
    document = _read(path, overrides)
    with document.blame(()):
        checked = check(TypeAdapter(SpaceDocument), document.values, sections=_SECTIONS, tags=(LISTED, GEOMETRIC, WEIGHTED, NAMED))
        recipe, aims = training(checked), objectives(checked)
    folders = (Path.cwd(), path.resolve().parent)
    with document.blame(("model",)):
        model = model_spec(checked.model, folders)
    with document.blame(("task",)):
        task = task_spec(checked.task, folders)
    return Space(
        name=path.stem,
        model=replace(model, mask=task.mask),
        task=task,
        training=recipe,
        methods=read_methods(document, catalogue),
        trials=checked.trials,
        seeds=checked.seeds,
        finalists=checked.finalists,
        objectives=aims,
    )


def _find(source: str) -> Path:
    path, shipped = Path(source).expanduser(), shipped_spaces()
    if path.is_file():
        return path
    if source in shipped:
        return _short(shipped[source])
    if path.is_dir():
        raise WrongInput(f"{source}: a folder, not a space; name a file in it such as {path / 'space.yaml'}")
    beside = [str(other) for other in path.parent.glob("*.y*ml")] if path.suffix else []
    hint = did_you_mean(source, beside) or did_you_mean(path.stem, shipped)
    raise WrongInput(f"{source}: no such file; the shipped spaces are {', '.join(shipped)}.{hint}")


def _short(path: Path) -> Path:
    """The path from the working folder where it lies below it: errors are read there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _read(path: Path, overrides: Sequence[str]) -> Document:
    document = read_yaml(_text(path), lambda line: f"{path}:{line}")
    if document.values is None:
        raise WrongInput(f"{path}: the file is empty; it needs at least `methods:` with one method, such as `methods: {{ulpt: }}`")
    if not isinstance(document.values, dict):
        raise document.wrong((), f"wanted keys such as `methods:`, got {show(document.values)}")
    return _expanded(nested(override(nested(document), overrides)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise WrongInput(f"{path}: cannot be read: {error.strerror}; check its permissions") from error


def _expanded(document: Document) -> Document:
    """`model: X` is short for `model: {name: X}`, `task` likewise; a key with nothing behind it is left to its default."""
    given = {key: value for key, value in document.values.items() if value is not None}
    short = {key: {"name": given[key]} for key in ("model", "task") if isinstance(given.get(key), str)}
    return Document({**given, **short}, document.places)
