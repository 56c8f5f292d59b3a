"""`ulpt-search run`: the search."""

import click

from ..exits import exit_code
from ..options import Asks, example, json_option, search_options
from ..request import Request

_EXAMPLE = "  ulpt-search run --space ulpt --budget 1e4\n  ulpt-search run --space my.yaml --budget 10k --time 30m"


@click.command("run", cls=Asks, epilog=example(_EXAMPLE))
@search_options
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@json_option
def command(request: Request) -> int:
    """Search for the best adapters under a budget.

    The same command again continues the study: nothing finished is done twice. The search sees the validation split only;
    what ends up on the curve is retrained over fresh seeds and scored once on the test split.
    """
    from ..supervisor import run_supervised

    def work() -> int:
        from ..driver import drive

        return drive(request)

    def after(status: int) -> None:
        from ..driver import close_behind

        close_behind(request, status)

    return run_supervised(lambda: exit_code(work), after=after)
