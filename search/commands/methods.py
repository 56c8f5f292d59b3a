"""`ulpt-search methods`: the catalogue."""

import click

from ..options import example, json_option, model_option


@click.command("methods", epilog=example("  ulpt-search methods --model minilm"))
@click.option("--rules", is_flag=True, help="List the training rules instead, which are joined to a method: lora+subzero.")
@model_option
@json_option
def command(rules: bool, model: str | None, as_json: bool) -> None:
    """List the methods and what they cost."""
    from ..offers import method_offers, rule_offers
    from ..printing import print_json, print_methods, print_rules

    if rules:
        known = rule_offers()
        print_json([offer.to_json() for offer in known]) if as_json else print_rules(known)
        return
    offers = method_offers(model)
    print_json([offer.to_json() for offer in offers]) if as_json else print_methods(offers)
