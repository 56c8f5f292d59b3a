"""`ulpt-search tasks`: what to train on."""

import click

from ..options import example, json_option


@click.command("tasks", epilog=example("  ulpt-search tasks"))
@json_option
def command(as_json: bool) -> None:
    """List the built-in tasks, and how to bring one's own."""
    from ..offers import task_offers
    from ..printing import print_json, print_offers

    offers = task_offers()
    print_json([offer.to_json() for offer in offers]) if as_json else print_offers(offers)
