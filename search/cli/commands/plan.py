"""`ulpt-search plan`: what a run would do, without doing it."""

import click

from ...request import Request
from ..options import Asks, example, json_option, search_options


@click.command("plan", cls=Asks, epilog=example("  ulpt-search plan --space ulpt --budget 1e3"))
@search_options
@json_option
def command(request: Request) -> None:
    """Show what a run would do and cost.

    Nothing is launched or written.
    """
    from ...running.cost_estimate import make_plan
    from ..printing import print_json, print_plan

    plan = make_plan(request)
    print_json(plan.to_json()) if request.as_json else print_plan(plan)
