"""`ulpt-search methods`: the catalogue."""

import click

from ..options import example, json_option, model_option


@click.command("methods", epilog=example("  ulpt-search methods --model minilm"))
@model_option
@json_option
def command(model: str | None, as_json: bool) -> None:
    """List the methods and what they cost."""
    from ..offers import method_offers
    from ..printing import print_json, print_methods

    offers = method_offers(model)
    print_json([offer.to_json() for offer in offers]) if as_json else print_methods(offers)
