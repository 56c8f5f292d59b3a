"""`ulpt-search studies`: what the ledger remembers."""

import click

from ...home import Home
from ..options import example, home_options, json_option


@click.command("studies", epilog=example("  ulpt-search studies"))
@home_options
@json_option
def command(home: str, ledger: str | None, as_json: bool) -> None:
    """List the studies."""
    from ...ledger.reading import summaries
    from ..printing import print_json, print_studies

    places = Home.at(home, ledger=ledger)
    found = summaries(places)
    print_json([summary.to_json() for summary in found]) if as_json else print_studies(found, places)
