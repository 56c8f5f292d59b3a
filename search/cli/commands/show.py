"""`ulpt-search show`: one study."""

import click

from ...home import Home
from ..options import example, home_options, json_option


@click.command("show", epilog=example("  ulpt-search show ulpt-pydocs-minilm-1e4"))
@click.argument("study")
@home_options
@json_option
def command(study: str, home: str, ledger: str | None, as_json: bool) -> None:
    """Show a study's trials, and what failed and why."""
    from ...ledger.reading import read_study
    from ..printing import print_json, print_study

    history = read_study(Home.at(home, ledger=ledger), study)
    print_json(history.to_json()) if as_json else print_study(history)
