"""`ui`: end what a killed driver left running, bring MLflow up to date with the ledger, serve."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ...spaces.errors import Failure, WrongInput
from ..home import Home
from .curve_files import Pages
from .mirror import Mirror
from .viewer import ui

if TYPE_CHECKING:
    from ..ledger.ledger import Ledger, StudyRecord


def serve(home: Home, *, study: str | None, host: str, port: int, allowed_hosts: Sequence[str]) -> int:
    """Serve the MLflow UI until Ctrl-C, opened on `study` (default: the newest)."""
    chart = catch_up(home, study)
    artifacts = home.artifacts or home.root
    return ui(tracking_uri=home.tracking_uri, artifacts=artifacts, say=_say, chart=chart, host=host, port=port, allowed_hosts=allowed_hosts)


def catch_up(home: Home, study: str | None) -> str:
    """Mirror the studies that nobody drives right now; return the page of the one to open.

    Raises `WrongInput` where there is nothing to show, `Failure` where MLflow's store cannot be reached.
    """
    if not home.has_ledger:
        raise WrongInput(f"nothing has been searched under {home.root} yet; start with ulpt-search run, or give --home")
    from ..ledger.ledger import Ledger
    from .runs import close_orphans

    ledger = Ledger.open(home.ledger_url)
    records = ledger.studies()
    if not records:
        raise WrongInput(f"nothing has been searched under {home.root} yet; start with ulpt-search run, or give --home")
    opened = ledger.study(study) if study else max(records, key=lambda record: record.created)
    with _reachable(home.tracking_uri):
        close_orphans(home.tracking_uri)
        charts = {record.name: _mirrored(home, ledger, record) for record in records}
    return charts[opened.name]


def _mirrored(home: Home, ledger: "Ledger", record: "StudyRecord") -> str:
    """Mirror one study unless its driver does; return its page."""
    from .runs import find_chart

    mirror = Mirror(tracking_uri=home.tracking_uri, artifacts=home.artifacts, study=record)
    try:
        with ledger.lease(record.name):
            mirror.sync(Pages(ledger, record, folder=home.pages / record.name, store=home.store).snapshot(), status=None)
            return mirror.chart
    except WrongInput:
        return find_chart(home.tracking_uri, record)


@contextmanager
def _reachable(uri: str) -> Iterator[None]:
    """Turn whatever MLflow and its store raise into one line; its exceptions cannot be named here without importing it."""
    try:
        yield
    except (Failure, WrongInput):
        raise
    except Exception as error:
        raise Failure(f"MLflow at {uri} cannot be reached: {error}; is it running?") from error


def _say(address: str) -> None:
    click.echo(address)
    sys.stdout.flush()
    click.echo("Ctrl-C ends it", err=True)
