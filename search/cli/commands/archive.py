"""`ulpt-search archive`: a study as one file."""

from pathlib import Path

import click

from ...home import Home
from ..options import example, home_options, store_option


@click.command("archive", epilog=example("  ulpt-search archive ulpt-pydocs-minilm-1e4 study.zip"))
@click.argument("study")
@click.argument("file", type=click.Path(path_type=Path))
@home_options
@store_option
def command(study: str, file: Path, home: str, ledger: str | None, store: str | None) -> None:
    """Write a study with its adapters into one file, for `restore` on another machine or into another ledger.

    Models, data and exports are not in it.
    """
    from ...keeping.archive import archive
    from ...ledger.reading import read_study

    packed = archive(read_study(Home.at(home, ledger=ledger, store=store), study), file)
    click.echo(f"{file}: {packed.study}, {packed.trials:,} trials, {packed.results:,} results, {packed.adapters:,} adapters")
