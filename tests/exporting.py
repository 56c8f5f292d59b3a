"""What the tests of exports share: a toy task on disk, trials that have learnt something, and their adapters in the store."""

from functools import cache
from pathlib import Path

from torch import Tensor

from ulpt_search.spaces.axes import Hyperparameters, Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Assignment, Job, Trial
from ulpt_search.spaces.space import ModelSpec, Setup, TaskSpec, Training
from ulpt_search.workers.catalogue import count, method
from ulpt_search.workers.exports import Reading, forms_of
from ulpt_search.workers.training import worker

from . import task_files, toy, zoo

STEPS = 8


def task_folder(folder: Path) -> Path:
    """Write the toy task into a folder; returns it."""
    rows = [{"text_a": text, "label": toy.LABELS[int(label)]} for text, label in zip(toy.rows().texts_a, toy.rows().labels, strict=True)]
    return task_files.folder(folder / "toy", train=rows[:64], validation=rows[64:80], test=rows[80:])


@cache
def setup(family: str, folder: Path) -> Setup:
    """A study of a few steps of a tiny model on the toy task in `folder`."""
    model = ModelSpec(zoo.saved(family), dtype="float32", device="cpu")
    task = TaskSpec("toy", path=str(folder), labels={label: label for label in toy.LABELS}, max_tokens=32)
    return Setup(model, task, Training(steps=STEPS, rungs=(STEPS,), batch=8), store=str(folder.parent / "store"))


def trial(family: str, name: str, changes: Hyperparameters | None = None) -> Trial:
    """A trial at the default values, its learning rates as high as their axes go, so that a few steps make a difference."""
    values = {**bold(name), **(changes or {})}
    return Trial(0, name, values, seed=3, parameters=count(name, values, zoo.backbone(family).shape))


def bold(name: str) -> dict[str, Value]:
    """A method's default values, its learning rates as high as their axes go."""
    values: dict[str, Value] = {}
    for part in name.split("+"):
        mine = {**method(part).defaults(), **{key: axis.corners()[-1] for key, axis in method(part).axes().items() if key.startswith("lr")}}
        values.update({f"{part}.{key}" if "+" in name else key: value for key, value in mine.items()})
    return values


def searched_scores(setup: Setup, trial: Trial, digest: str | None) -> Tensor:
    """Label scores (rows, labels) of the validation split as the search computes them; without a digest, at step 0."""
    session = worker.session(setup)
    pack, _, _ = worker.restore_from(session.backbone, session.store, [Assignment(trial, 0, digest)])
    return session.trainer.predict(pack, session.splits["validation"])[0]


def fits(family: str, name: str, style: str) -> Trial | None:
    """A trial of the method on the family's model; None where the model lacks its site, or the format its exact form."""
    try:
        config = trial(family, name)
    except WrongInput:
        return None
    return config if style in exact(family, config) else None


def exact(family: str, config: Trial) -> tuple[str, ...]:
    """The formats that hold a trial exactly on the family's model, for the toy task."""
    return forms_of(config.method, config.hyperparameters, zoo.backbone(family).shape, Reading(32)).exact


_DIGESTS: dict[str, str] = {}


def trained(setup: Setup, trial: Trial) -> str:
    """Train a trial by the worker, for real, and return the hash of what it stored; the same trial once a session."""
    key = f"{setup} {trial}"
    if key not in _DIGESTS:
        outcome = worker.run_job(setup, Job(0, (Assignment(trial),), stop=STEPS))
        assert not outcome.problems, outcome.problems
        _DIGESTS[key] = outcome.results[0].adapter
    return _DIGESTS[key]
