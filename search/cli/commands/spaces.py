"""`ulpt-search spaces`: the shipped spaces."""

import click

from ..options import example, json_option


@click.command("spaces", epilog=example("  ulpt-search spaces\n  ulpt-search spaces --schema > space.schema.json"))
@json_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of space files, for editors.")
def command(as_json: bool, schema: bool) -> None:
    """List the shipped spaces, each a file to copy and change."""
    from ..listings import list_spaces, schema_for_editors
    from ..printing import print_json, print_listings

    if schema:
        print_json(schema_for_editors())
        return
    listings = list_spaces()
    print_json([listing.to_json() for listing in listings]) if as_json else print_listings(listings)
