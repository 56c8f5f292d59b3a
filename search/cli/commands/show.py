"""`ulpt-search show`: one study."""

import click

from ...home import Home
from ..options import example, home_options, json_option
from ..selection import ORDERS, select_trials


@click.command("show", epilog=example("  ulpt-search show ulpt-pydocs-minilm-1e4 --sort score --top 10"))
@click.argument("study")
@home_options
@json_option
@click.option("--sort", type=click.Choice(list(ORDERS)), default="trial", show_default=True, help="Score: highest step first, best first.")
@click.option("--top", type=click.IntRange(min=1), metavar="NUMBER", help="Only the first so many.")
@click.option("--skip", type=click.IntRange(min=0), default=0, metavar="NUMBER", help="Without the first so many.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only trials of this method; may be given again.")
def command(
    study: str, home: str, ledger: str | None, as_json: bool, sort: str, top: int | None, skip: int, methods: tuple[str, ...]
) -> None:
    """Show a study's trials, and what failed and why."""
    from ...ledger.shown import open_study
    from ..printing import print_json_with, print_study

    shown = open_study(Home.at(home, ledger=ledger), study)
    numbers = select_trials(shown, sort=sort, top=top, methods=methods)[skip:]
    print_json_with("trials", shown.told(numbers), head=shown.head(), tail=shown.tail()) if as_json else print_study(shown, numbers)
