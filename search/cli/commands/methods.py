"""`ulpt-search methods`: the catalogue."""

import click

from ..options import example, json_option, model_option


@click.command("methods", epilog=example("  ulpt-search methods --model minilm"))
@click.option("--rules", is_flag=True, help="List the training rules instead, which are joined to a method: lora+subzero.")
@click.option("--markdown", is_flag=True, help="Print the page of equations, counts, starts, published rates and deviations instead.")
@model_option
@json_option
def command(rules: bool, markdown: bool, model: str | None, as_json: bool) -> None:
    """List the methods and what they cost."""
    if markdown:
        from ..method_pages import markdown as page

        click.echo(page(), nl=False)
        return
    from ..listings import broken_methods, list_methods, list_rules, list_stock, shape_at
    from ..printing import print_json, print_methods, print_rules

    if rules:
        known = list_rules()
        print_json([listing.to_json() for listing in known]) if as_json else print_rules(known)
        return
    listings = list_methods(model)
    if as_json:
        print_json([listing.to_json() for listing in listings])
    else:
        print_methods(listings, stock=list_stock(), shape=shape_at(model))
    for line in broken_methods():
        click.echo(line, err=True)
