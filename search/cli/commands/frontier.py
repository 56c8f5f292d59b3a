"""`ulpt-search frontier`: the trade-off curve."""

import click

from ...home import Home
from ..options import example, home_options, json_option

_FILE = click.Path(path_type=str, allow_dash=True)
"""As text: the slash at the end of `out/` says that it is a folder."""


@click.command("frontier", epilog=example("  ulpt-search frontier ulpt-pydocs-minilm-1e4 --html curve.html"))
@click.argument("study")
@home_options
@json_option
@click.option("--csv", type=_FILE, metavar="FILE", help="Write it as CSV; - prints it.")
@click.option("--picture", "--png", type=_FILE, metavar="FILE", help="Write a picture: .png, .svg or .pdf, by the name's ending.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write an interactive page.")
def command(study: str, home: str, ledger: str | None, as_json: bool, csv: str | None, picture: str | None, html: str | None) -> None:
    """Show a study's curve, cheapest first. Where FILE is a folder, the file in it is called after the study."""
    from ...ledger.reading import read_front, read_study
    from ..curve_files import write_curve
    from ..printing import print_frontier, print_json

    places = Home.at(home, ledger=ledger)
    places.keep_caches()
    curve = read_study(places, study, curve_alone=True).curve if picture or html else read_front(places, study)
    written = write_curve(curve, csv=csv, picture=picture, page=html)
    if as_json:
        print_json([point.to_json() for point in curve.front])
    elif not written:
        print_frontier(curve)
