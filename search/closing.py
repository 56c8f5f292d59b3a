"""The end of a run: the curve's files, the best adapter as a file, and the last screen."""

import shutil
from pathlib import Path

import click

from ..spaces.errors import Failure, WrongInput
from .home import Home
from .pages import draw
from .printing import print_json, print_last_screen
from .reading import History, choose
from .request import Request


def deliver(request: Request, history: History) -> Path | None:
    """Write what a study has found into its folder in the home; return where its best adapter is, as most programs load it.

    Raises `Failure` where no trial was scored.
    """
    if not history.curve.points:
        raise Failure(_nothing(history))
    folder = request.places.pages / history.record.name
    draw(history.curve, folder)
    try:
        return _export_best(history, folder, store=request.places.store)
    except (Failure, WrongInput) as error:  # a search is not undone by an export that fails
        click.echo(f"the best adapter was not written as a file: {error}", err=True)
        return None


def finish(request: Request, history: History, *, best: Path | None, seconds: float) -> int:
    """Show what a finished study has found; return the exit code."""
    home = request.places
    places = _places(home, home.pages / history.record.name, best)
    if request.as_json:
        curve = [point.to_json() for point in history.curve.front]
        print_json({"study": history.record.name, "seconds": round(seconds, 1), "frontier": curve, "places": places})
    else:
        print_last_screen(history, places=places, seconds=seconds, home=request.home)
    return 0


def _export_best(history: History, folder: Path, *, store: str) -> Path:
    from ..workers.backbone import shape_of
    from ..workers.exports import export, formats

    trial, result = choose(history, best=True, trial=None, max_parameters=None)
    setup = history.setup(store)
    possible = formats(trial, shape_of(setup.model))
    style = next(style for style in ("peft", "merged", "native") if style in possible)
    out = folder / f"trial-{trial.number}-{style}"
    if not out.is_dir():
        export(setup, trial, result.adapter, style=style, out=out)
    for old in set(folder.glob("trial-*")) - {out}:
        shutil.rmtree(old)
    return out


def _places(home: Home, folder: Path, best: Path | None) -> dict[str, str]:
    adapter = {"best adapter": str(best)} if best else {}
    kept = {"ledger": home.ledger_url, "adapters": home.store, "MLflow": home.tracking_uri}
    return {"curve": str(folder / "frontier.html"), **adapter, **kept}


def _nothing(history: History) -> str:
    last = history.problems[-1].error if history.problems else "no trial came back"
    return f"{history.record.name}: none of {len(history.trials)} trials could be scored; the last said: {last}"
