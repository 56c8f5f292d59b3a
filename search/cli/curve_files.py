"""The files that `frontier` writes, where its options say."""

import os
from pathlib import Path

import click

from ...dashboards.csv_file import csv_text, write_csv
from ...dashboards.curve import Curve
from ...dashboards.page import write_page
from ...dashboards.picture import format_of, write_picture
from ...spaces.errors import WrongInput

PRINTED = "-"


def write_curve(curve: Curve, *, csv: str | None, picture: str | None, page: str | None) -> bool:
    """Write the files that were asked for; `-` prints the CSV. Returns whether any was.

    Raises `WrongInput`, before anything is written, for a picture whose ending names no format.
    """
    places = {
        "--csv": None if csv == PRINTED else _place("--csv", csv, curve.study, ".csv"),
        "--picture": _place("--picture", picture, curve.study, ".png"),
        "--html": _place("--html", page, curve.study, ".html"),
    }
    if drawn := places["--picture"]:
        format_of(drawn)
    if csv == PRINTED:
        click.echo(csv_text(curve.front), nl=False)
    for path, write in zip(places.values(), (write_csv, write_picture, write_page), strict=True):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(curve, path)
            click.echo(f"wrote {path}", err=True)
    return any(option is not None for option in (csv, picture, page))


def _place(option: str, given: str | None, study: str, ending: str) -> Path | None:
    """The file an option means: in a folder (one that exists, or a name that ends in a slash) one called after the study."""
    if given is None:
        return None
    if given == PRINTED:
        raise WrongInput(f"{option} -: only --csv can be printed; name a file such as curve{ending}")
    if given.endswith(("/", os.sep)) or Path(given).is_dir():
        return Path(given) / f"{study.replace('/', '-')}{ending}"
    return Path(given)
