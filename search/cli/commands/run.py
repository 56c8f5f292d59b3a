"""`ulpt-search run`: the search."""

import click

from ...request import Request
from ..exits import DONE, exit_code
from ..options import Asks, duration, example, json_option, search_options

_EXAMPLE = "  ulpt-search run --space ulpt --budget 1e4\n  ulpt-search run --space my.yaml --budget 10k --time 30m"


@click.command("run", cls=Asks, epilog=example(_EXAMPLE))
@search_options
@click.option("--full-hash", is_flag=True, help="Hash the model's files anew, whatever their size and times say.")
@click.option("--measure", is_flag=True, help="Measure this machine's speed anew; a study that was begun goes on computing as it did.")
@click.option(
    "--patience",
    metavar="DURATION",
    callback=duration,
    default="20m",
    show_default=True,
    help="Wait this long for a database or store that is away; what was computed is kept meanwhile.",
)
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
@json_option
def command(request: Request) -> int:
    """Search for the best adapters under a budget.

    The same command again continues the study: nothing finished is done twice. The search sees the validation split only;
    what ends up on the curve is retrained over fresh seeds and scored once on the test split.
    """
    from ...running.supervisor import run_supervised

    def after(status: int) -> None:
        from ...running.driver import close_behind

        close_behind(request, status)

    return run_supervised(lambda: exit_code(lambda: search(request)), after=after)


def search(request: Request) -> int:
    """Search in this process and print what was found; return the exit code."""
    from ...running.driver import Ended, drive
    from ..printing import print_end

    end = drive(request)
    if not isinstance(end, Ended):
        return end.status
    print_end(request, end)
    return DONE
