"""`ulpt-search restore`: a study out of the file that `archive` made."""

from pathlib import Path

import click

from ...home import Home
from ..options import example, home_options, store_option


@click.command("restore", epilog=example("  ulpt-search restore study.zip --home elsewhere"))
@click.argument("file", type=click.Path(path_type=Path))
@home_options
@store_option
def command(file: Path, home: str, ledger: str | None, store: str | None) -> None:
    """Put an archived study into a home.

    It goes on there with the command that began it. Every adapter is checked against its name, nothing in the file is run, and a study
    of that name that is there already stays as it is.
    """
    from ...keeping.archive import restore

    places = Home.at(home, ledger=ledger, store=store)
    places.prepare()
    packed = restore(file, places)
    click.echo(f"{packed.study}: {packed.trials:,} trials, {packed.results:,} results, {packed.adapters:,} adapters are in {places.root}")
