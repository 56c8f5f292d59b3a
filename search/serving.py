"""`ui`: bring MLflow up to date with the ledger, end what a killed driver left running, then serve."""

import sys
from collections.abc import Sequence

import click

from ..spaces.errors import Failure, WrongInput
from .home import Home
from .mirror import Mirror
from .pages import Pages
from .viewer import ui


def serve(home: Home, *, study: str | None, host: str, port: int, allowed_hosts: Sequence[str]) -> int:
    """Serve the MLflow UI until Ctrl-C, opened on `study` (default: the newest)."""
    chart = _catch_up(home, study)
    return ui(
        tracking_uri=home.tracking_uri,
        artifacts=home.artifacts,
        say=_say,
        chart=chart,
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
    )


def _say(address: str) -> None:
    click.echo(address)
    sys.stdout.flush()
    click.echo("Ctrl-C ends it", err=True)


def _catch_up(home: Home, study: str | None) -> str:
    """Mirror the studies that nobody drives right now; return the page of the one to open."""
    if not home.has_ledger:
        raise WrongInput(f"nothing has been searched under {home.root} yet; start with ulpt-search run, or give --home")
    from .ledger import Ledger

    ledger = Ledger.open(home.ledger_url)
    if study is not None:
        ledger.study(study)
    chart = ""
    for record in ledger.studies():
        mirror = Mirror(tracking_uri=home.tracking_uri, artifacts=home.artifacts, study=record)
        try:
            with ledger.claim(record.name):
                mirror.sync(Pages(ledger, record, folder=home.pages / record.name).snapshot(), status="FINISHED")
        except WrongInput:
            continue  # its driver keeps it up to date
        except Failure as error:
            click.echo(str(error), err=True)
        if study in (None, record.name):
            chart = mirror.chart
    return chart
