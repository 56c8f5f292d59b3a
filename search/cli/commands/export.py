"""`ulpt-search export`: an adapter as a file that others load."""

from pathlib import Path

import click

from ...home import Home
from ..options import count, example, home_options, json_option, store_option

_STYLE = click.Choice(["native", "peft", "merged"])


@click.command("export", epilog=example("  ulpt-search export ulpt-pydocs-minilm-1e4 --best --out adapter"))
@click.argument("study")
@click.option("--best", is_flag=True, help="The best of the curve; the default.")
@click.option("--trial", type=click.IntRange(min=0), metavar="N", help="This trial.")
@click.option("--max-parameters", callback=count, metavar="N", help="The best with at most this many parameters.")
@click.option("--format", "style", type=_STYLE, help="Who shall load it; default: the first of peft, merged, native that is exact.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder.")
@click.option("--force", is_flag=True, help="Replace an earlier export in that folder.")
@home_options
@store_option
@json_option
def command(
    study: str,
    best: bool,
    trial: int | None,
    max_parameters: int | None,
    style: str | None,
    out: Path,
    force: bool,
    home: str,
    ledger: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Write an adapter that others can load.

    It is loaded again in a fresh process, and its outputs are compared with the trained one's, before the folder appears.
    """
    from ....workers.exports import export
    from ...ledger.reading import choose, read_study
    from ..printing import print_export, print_json

    places = Home.at(home, ledger=ledger, store=store)
    history = read_study(places, study)
    chosen, result = choose(history, best=best, trial=trial, max_parameters=max_parameters)
    report = export(history.setup(places.store), chosen, result.adapter, style=style, out=out, force=force)
    print_json(report.to_json()) if as_json else print_export(report)
