"""`ulpt-search reproduce`: a paper's table with ours beside it."""

from pathlib import Path

import click

from ...home import Home
from ..options import example, home_options, json_option

_EXAMPLE = "  ulpt-search reproduce glue\n  ulpt-search reproduce glue --run -- --model ./t5-base --set steps=1000 --time 30m"


@click.command("reproduce", epilog=example(_EXAMPLE))
@click.argument("suite")
@click.argument("options", nargs=-1, metavar="[-- OPTIONS OF RUN]")
@home_options
@json_option
@click.option("--run", "runs", is_flag=True, help="First run the search of every task, or what is left of it; options of run go behind --.")
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), help="A folder with one folder a task; default: the hub."
)
def command(suite: str, options: tuple[str, ...], home: str, ledger: str | None, as_json: bool, runs: bool, data: Path | None) -> None:
    """Show the published results of a suite of tasks (glue, superglue, mrqa, others, reasoning), ours beside them, and what differs.

    Ours are the studies paper-TASK of this home, which --run makes.
    """
    from ....spaces.errors import WrongInput
    from ....workers.tasks.published_results import results_of
    from ..printing import print_json, print_reproduction
    from ..reproduction import reproduction, run_missing

    published = results_of(suite)
    if options and not runs:
        raise WrongInput(f"{options[0]}: options of run need --run before the --")
    if runs:
        run_missing(published, home, data=data, more=(*(("--ledger", ledger) if ledger else ()), *options))
    found = reproduction(published, Home.at(home, ledger=ledger))
    print_json(found.to_json()) if as_json else print_reproduction(found)
