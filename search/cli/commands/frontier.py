"""`ulpt-search frontier`: the trade-off curve."""

from pathlib import Path

import click

from ...home import Home
from ..options import example, home_options, json_option

_FILE = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


@click.command("frontier", epilog=example("  ulpt-search frontier ulpt-pydocs-minilm-1e4 --html curve.html"))
@click.argument("study")
@home_options
@json_option
@click.option("--csv", "csv_file", type=_FILE, metavar="FILE", help="Write it as CSV; - prints it.")
@click.option("--png", "png_file", type=_FILE, metavar="FILE", help="Write a picture.")
@click.option("--html", "html_file", type=_FILE, metavar="FILE", help="Write an interactive page.")
def command(
    study: str, home: str, ledger: str | None, as_json: bool, csv_file: Path | None, png_file: Path | None, html_file: Path | None
) -> None:
    """Show a study's curve, cheapest first."""
    from ...ledger.reading import read_study
    from ..printing import print_frontier, print_json, write_curve

    places = Home.at(home, ledger=ledger)
    places.keep_caches()
    curve = read_study(places, study).curve
    written = write_curve(curve, csv=csv_file, png=png_file, html=html_file)
    if as_json:
        print_json([point.to_json() for point in curve.front])
    elif not written:
        print_frontier(curve)
