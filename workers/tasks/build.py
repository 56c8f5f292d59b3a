"""Tables or rows -> `Task`: labels read, splits made, descriptions and metric chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...spaces.errors import WrongInput
from ...spaces.metrics import Kind
from ...spaces.metrics import metric as metric_called
from ...spaces.space import Format, TaskSpec
from .choices import Choices, check_answers, choice_notes, choices_of
from .formats import format_note, format_of
from .generation import answer_column, has_answers, is_raw, rows_of
from .groups import group_notes
from .label_texts import label_texts
from .labels import Codec, cells_of, codec_for, encode, encode_sets, infer_kind, is_unlabelled, listed, lists
from .splits import arrange
from .table import Table, groups_of, texts_of
from .task import METRICS, Rows, Task, digest_of


@dataclass(frozen=True)
class Known:
    """What the data says about itself; None where it is silent."""

    kind: Kind | None = None
    labels: tuple[str, ...] | None = None
    metric: str | None = None
    group: str | None = None


def task_from_tables(name: str, tables: Mapping[str, Table], spec: TaskSpec, known: Known) -> Task:
    """Return the task of the splits in `tables` (train, and validation and test where there are any).

    Raises `WrongInput` with file and line for whatever cannot be used: see `labels.py`, `table.py` and `generation.py`.
    """
    chosen = format_of(tables["train"], spec, known.kind)
    return _labelled(name, tables, spec, known) if chosen == "labels" else _answered(name, tables, spec, known, chosen)


def _answered(name: str, tables: Mapping[str, Table], spec: TaskSpec, known: Known, chosen: Format) -> Task:
    """A task whose texts are answered by texts."""
    read = {split: rows_of(table, spec, chosen) for split, table in tables.items() if split != "test" or has_answers(table, spec, chosen)}
    notes = [format_note(tables["train"], spec, chosen, answer_column(tables["train"], spec))]
    notes += [note for split, one in read.items() for note in one.notes(split)]
    if "test" in tables and not (read["test"].rows if "test" in read else ()):
        read.pop("test", None)
        notes.append("the test split has no answers and was left aside")
    empty = next((split for split, one in read.items() if not len(one.rows)), None)
    if empty is not None:
        raise WrongInput(f"{tables[empty].source}: no row is left that ends with an answer of the assistant; give one, or task.format")
    task = task_from_rows(name, {split: one.rows for split, one in read.items()}, spec, Known("generation", (), known.metric))
    template = "raw" if spec.template == "auto" and is_raw(tables["train"], chosen) else spec.template
    return replace(task, notes=(*notes, *task.notes), template=template)


def _labelled(name: str, tables: Mapping[str, Table], spec: TaskSpec, known: Known) -> Task:
    values = {split: table.column(spec.label, "label") for split, table in tables.items() if split != "test" or spec.label in table.names}
    notes: tuple[str, ...] = ()
    if "test" in tables and ("test" not in values or is_unlabelled(values["test"])):
        values.pop("test", None)
        notes = ("the test split has no labels and was left aside",)
    choices = {split: choices_of(tables[split], spec.choices) for split in values}
    known = known if spec.choices is None else replace(known, kind="multiple_choice", labels=_numbered(choices))
    kind = known.kind or ("multi_label" if spec.separator is not None else infer_kind(values["train"], spec.metric or known.metric))
    if kind == "multi_label":
        values = {split: lists(tables[split], column, spec.separator) for split, column in values.items()}
    codec = _codec(kind, tables["train"], values["train"], known.labels)
    labels = {split: _encoded(kind, tables[split], column, codec) for split, column in values.items()}
    rows = {
        split: Rows(*texts_of(tables[split], spec), numbers, groups_of(tables[split], spec), choices[split], sets=sets)
        for split, (numbers, sets) in labels.items()
    }
    for split, own in rows.items():
        check_answers(tables[split], own.choices, own.labels)
    names = codec.names if codec else ()
    _check_variety(tables["train"].source, rows["train"], names)
    if (
        names
        and known.labels is None
        and kind in ("classification", "multi_label")
        and not spec.labels
        and all(name.isdecimal() for name in names)
    ):
        notes = (*notes, f"the labels {listed(names)} have no names: say what they mean under task.labels")
    task = task_from_rows(name, rows, spec, Known(kind, names, known.metric))
    return replace(task, notes=(*notes, *task.notes))


def _encoded(kind: Kind, table: Table, values: Sequence[Any], codec: Codec | None) -> tuple[tuple[float, ...], tuple[tuple[int, ...], ...]]:
    """`Rows.labels` and `Rows.sets` of a split."""
    if kind != "multi_label" or codec is None:
        return encode(table, values, codec), ()
    sets = encode_sets(table, values, codec)
    return tuple(float(len(own)) for own in sets), sets


def _numbered(choices: Mapping[str, Choices]) -> tuple[str, ...]:
    """Names of as many labels as any row has choices."""
    most = max(len(own) for rows in choices.values() for own in rows)
    return tuple(f"choice{number + 1}" for number in range(most))


def task_from_rows(name: str, rows: Mapping[str, Rows], spec: TaskSpec, known: Known) -> Task:
    """Return the task of splits whose labels are numbers already; validation and test are carved where they are missing."""
    kind, labels = known.kind or "classification", known.labels or ()
    stratified = kind != "regression"
    splits = arrange(name, rows["train"], rows.get("validation"), rows.get("test"), stratified=stratified, limit=spec.limit)
    _check_variety(name, splits.train, labels)
    metric = _metric(name, kind, spec.metric, known.metric)
    _check_measurable(name, metric, (splits.validation, splits.test), labels)
    described = label_texts(name, kind, labels, spec)
    descriptions = tuple(text for text, _ in described)
    parts = (splits.train, splits.validation, splits.test)
    digest = digest_of(kind=kind, labels=labels, descriptions=descriptions, metric=metric, splits=parts)
    origins = tuple(origin for _, origin in described)
    notes = (*splits.notes, *group_notes(name, spec.group, *parts), *choice_notes(rows.choices for rows in parts))
    further = _further(name, kind, metric, spec.metrics)
    whole = (name, kind, labels, descriptions, metric, *parts, digest, notes, spec.reading, origins, further)
    return Task(*whole, decoding=spec.decoding)


def _codec(kind: Kind, table: Table, values: Sequence[Any], names: Sequence[str] | None) -> Codec | None:
    if kind == "regression":
        return None
    cells = cells_of(values) if kind == "multi_label" else list(enumerate(values))
    codec = codec_for(table, cells, names)
    if kind == "multiple_choice" and names is None and all(name.isdecimal() for name in codec.names):
        options = [f"choice{number + 1}" for number in range(int(codec.names[-1]) + 1)]
        return codec_for(table, cells, options)
    return codec


def _metric(name: str, kind: Kind, asked: str | None, own: str | None) -> str:
    if asked is not None and kind not in metric_called(asked).kinds:
        raise WrongInput(f"{name}: task.metric is {asked}, but {_measured_by(kind)}")
    return asked or own or METRICS[kind][0]


def _measured_by(kind: Kind) -> str:
    return f"a {kind.replace('_', '-')} task is measured by {' or '.join(METRICS[kind])}"


def _further(name: str, kind: Kind, own: str, asked: Sequence[str]) -> tuple[str, ...]:
    """The further metrics, each once, without the task's own."""
    wrong = next((one for one in asked if kind not in metric_called(one).kinds), None)
    if wrong is not None:
        raise WrongInput(f"{name}: task.metrics has {wrong}, but {_measured_by(kind)}")
    return tuple(dict.fromkeys(one for one in asked if one != own))


def _check_measurable(name: str, own: str, splits: Sequence[Rows], labels: Sequence[str]) -> None:
    """A correlation or an area says nothing of rows that are all alike: such a split is refused before anything is trained."""
    if metric_called(own).constant_targets:
        return
    for split, rows in zip(("validation", "test"), splits, strict=True):
        if len(set(rows.labels)) == 1 and not rows.conversations:
            shown = labels[int(rows.labels[0])] if labels else f"{rows.labels[0]:g}"
            raise WrongInput(
                f"{name}: all {len(rows):,} {split} rows are labelled {shown}, of which {own} says nothing; take another metric"
            )


def _check_variety(name: str, train: Rows, labels: Sequence[str]) -> None:
    if train.sets:
        _check_sets(name, train)
        return
    values = set(train.labels)
    if len(values) == 1 and not train.conversations:
        (value,) = values
        shown = labels[int(value)] if labels else f"{value:g}"
        raise WrongInput(f"{name}: all {len(train):,} training rows are labelled {shown}; give rows of two labels or more")


def _check_sets(name: str, train: Rows) -> None:
    if len(set(train.sets)) == 1:
        raise WrongInput(f"{name}: all {len(train):,} training rows have the same labels; give rows of two kinds or more")
