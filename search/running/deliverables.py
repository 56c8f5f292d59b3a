"""What a run leaves for its user: the curve's files, and the best adapter as a file."""

import shutil
from dataclasses import replace
from pathlib import Path

import click

from ...spaces.errors import Failure, WrongInput
from ...spaces.records import Result
from ...spaces.space import Setup
from ..ledger.reading import History, choose
from ..request import Request
from ..tracking.curve_files import draw


def deliver(request: Request, history: History, *, patience: float = 0.0) -> Path | None:
    """Write what a study has found into its folder in the home; return where its best adapter is, as most programs load it.

    A store that is away is waited for, `patience` seconds. Raises `Failure` where no trial was scored.
    """
    if not history.curve.points:
        raise Failure(_nothing(history))
    folder = request.places.pages / history.record.name
    draw(history.curve, folder)
    try:
        return _export_best(history, folder, store=request.places.store, patience=patience)
    except (Failure, WrongInput) as error:  # a search is not undone by an export that fails
        click.echo(f"the best adapter was not written as a file: {error}", err=True)
        return None


def _export_best(history: History, folder: Path, *, store: str, patience: float) -> Path:
    from ...workers.exports import export, forms_of, is_export, reading_of
    from ...workers.model.backbone import shape_of, tokenizer_of
    from ...workers.model.readouts.asking import shape_for
    from ...workers.tasks import load_task

    trial, result = choose(history, best=True, trial=None, max_parameters=None)
    setup = replace(history.setup(store), patience=patience)
    task = load_task(setup.task)
    shape = shape_for(shape_of(setup.model), task)
    reading = reading_of(task, shape, max_tokens=setup.task.max_tokens, tokenizer=lambda: tokenizer_of(setup.model))
    style = forms_of(trial.method, trial.hyperparameters, shape, reading).best
    out = folder / f"trial-{trial.number}-{style}"
    if not holds(out, result, setup):
        export(setup, trial, result.adapter, style=style, out=out, force=True)
    for old in set(folder.glob("trial-*")) - {out}:
        if is_export(old):
            shutil.rmtree(old)
    return out


def holds(folder: Path, result: Result, setup: Setup) -> bool:
    """Whether a folder is the export of this very result: by its name it may be that of an earlier step, or of another ledger's study."""
    from ...workers.exports import Card, is_export

    if not is_export(folder):
        return False
    try:
        card = Card.read(folder)
    except WrongInput:  # damaged
        return False
    if card.identity is None or setup.identity is None or (card.adapter, card.step) != (result.adapter, result.step):
        return False
    return not setup.identity.differences(card.identity)


def _nothing(history: History) -> str:
    last = history.problems[-1].error if history.problems else "no trial came back"
    return f"{history.record.name}: none of {len(history.trials)} trials could be scored; the last said: {last}"
