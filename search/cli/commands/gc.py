"""`ulpt-search gc`: what nothing needs any more."""

import click

from ...home import Home
from ..options import example, home_options, json_option


@click.command("gc", epilog=example("  ulpt-search gc --caches\n  ulpt-search gc --yes"))
@home_options
@click.option("--caches", is_flag=True, help="Also what can be found again: tokenised tasks, converted weights, measured speeds.")
@click.option("--yes", is_flag=True, help="Delete it; without this, only say what there is.")
@json_option
def command(home: str, ledger: str | None, caches: bool, yes: bool, as_json: bool) -> None:
    """Delete adapters of the home's own store that no result names, and what killed commands left.

    Nothing is deleted while a study is searched, and files of the last hour stay. With `--ledger`, adapters are left alone, and without
    it, nothing is done where another ledger has used the home's store, since that may name them. So is a store outside the home.
    """
    from ...keeping.clearing import clear
    from ..printing import print_json, print_litter

    found = clear(Home.at(home, ledger=ledger), own_ledger=ledger is None, caches=caches, delete=yes)
    print_json([litter.to_json() for litter in found]) if as_json else print_litter(found, deleted=yes)
