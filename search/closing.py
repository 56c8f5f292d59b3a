"""The end of a run: the curve's files, the best adapter as a file, MLflow up to date, and the last screen."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..spaces.errors import Failure, WrongInput
from .home import Home
from .mirror import Mirror
from .pages import Pages, draw, read_history
from .printing import print_json, print_last_screen
from .reading import History, choose
from .request import Request

if TYPE_CHECKING:
    from .ledger import Ledger, StudyRecord


def finish(request: Request, ledger: "Ledger", record: "StudyRecord", *, seconds: float) -> int:
    """Show what a finished study has found. Raises `Failure` where no trial was scored."""
    home, history = request.places, read_history(ledger, record)
    if not history.curve.points:
        raise Failure(_nothing(history))
    folder = home.pages / record.name
    draw(history.curve, folder)
    best = _export_best(history, folder, store=home.store, quiet=request.quiet)
    _mirror(ledger, record, home, folder)
    places = _places(home, folder, best)
    if request.as_json:
        curve = [point.to_json() for point in history.curve.front]
        print_json({"study": record.name, "seconds": round(seconds, 1), "frontier": curve, "places": places})
    else:
        print_last_screen(history, places=places, seconds=seconds, home=request.home)
    return 0


def _export_best(history: History, folder: Path, *, store: str, quiet: bool) -> Path | None:
    """Write the best adapter in the format that most programs load; a search is not undone by an export that fails."""
    from ..workers.exports import export, formats

    trial, result = choose(history, best=True, trial=None, max_parameters=None)
    style = next(style for style in ("peft", "merged", "native") if style in formats(trial))
    out = folder / f"trial-{trial.number}-{style}"
    if out.is_dir():
        return out
    try:
        export(history.setup(store), trial, result.adapter, style=style, out=out)
    except (Failure, WrongInput) as error:
        if not quiet:
            click.echo(f"the best adapter was not written as a file: {error}", err=True)
        return None
    return out


def _mirror(ledger: "Ledger", record: "StudyRecord", home: Home, folder: Path) -> None:
    try:
        mirror = Mirror(tracking_uri=home.tracking_uri, artifacts=home.artifacts, study=record)
        mirror.sync(Pages(ledger, record, folder=folder).snapshot(), status="FINISHED")
    except Failure as error:
        click.echo(str(error), err=True)


def _places(home: Home, folder: Path, best: Path | None) -> dict[str, str]:
    adapter = {"best adapter": str(best)} if best else {}
    kept = {"ledger": home.ledger_url, "adapters": home.store, "MLflow": home.tracking_uri}
    return {"curve": str(folder / "frontier.html"), **adapter, **kept}


def _nothing(history: History) -> str:
    last = history.problems[-1].error if history.problems else "no trial came back"
    return f"{history.record.name}: none of {len(history.trials)} trials could be scored; the last said: {last}"
