"""`ulpt-search tasks`: what to train on."""

import click

from ..options import example, json_option


@click.command("tasks", epilog=example("  ulpt-search tasks"))
@json_option
def command(as_json: bool) -> None:
    """List the built-in tasks, and how to bring one's own."""
    from ..listings import list_tasks
    from ..printing import print_json, print_listings

    listings = list_tasks()
    print_json([listing.to_json() for listing in listings]) if as_json else print_listings(listings)
