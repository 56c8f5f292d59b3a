"""`ulpt-search spaces`: the shipped spaces."""

import click

from ..options import example, json_option


@click.command("spaces", epilog=example("  ulpt-search spaces\n  ulpt-search spaces --schema > space.schema.json"))
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of space files, for editors.")
def command(as_json: bool, schema: bool) -> None:
    """List the shipped spaces, each a file to copy and change."""
    from ..offers import schema_for_editors, space_offers
    from ..printing import print_json, print_offers

    if schema:
        print_json(schema_for_editors())
        return
    offers = space_offers()
    print_json([offer.to_json() for offer in offers]) if as_json else print_offers(offers)
