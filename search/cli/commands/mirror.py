"""`ulpt-search mirror`: MLflow, made equal to the ledger now."""

import click

from ...home import Home
from ..options import example, home_options, store_option, tracking_option


@click.command("mirror", epilog=example("  ulpt-search mirror ulpt-pydocs-minilm-1e4"))
@click.argument("study")
@home_options
@store_option
@tracking_option
def command(study: str, home: str, ledger: str | None, store: str | None, tracking_uri: str | None) -> None:
    """Write a study's runs into MLflow, all that are missing or not as the ledger has them.

    Into an empty store, it makes them anew. Refused while a search drives the study: that does it itself.
    """
    from ...ledger.ledger import Ledger
    from ...tracking.curve_files import Pages
    from ...tracking.mirror import Mirror

    places = Home.at(home, ledger=ledger, store=store, tracking_uri=tracking_uri)
    kept = Ledger.open(places.ledger_url)
    record = kept.study(study)
    with kept.lease(study):
        pages = Pages(kept, record, folder=places.pages / study, store=places.store)
        Mirror(tracking_uri=places.tracking_uri, artifacts=places.artifacts, study=record).sync(pages.snapshot(), status=None)
    click.echo(f"{study}: {len(kept.trials(study)):,} trials are in MLflow")
