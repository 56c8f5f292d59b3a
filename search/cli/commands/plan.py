"""`ulpt-search plan`: what a run would do, without doing it."""

import click

from ...request import Request
from ..exits import DONE, WRONG
from ..options import Asks, example, json_option, search_options


@click.command("plan", cls=Asks, epilog=example("  ulpt-search plan --space ulpt --budget 1e3"))
@search_options
@click.option("--check", is_flag=True, help="Load the model, too, and compare its frozen scores with its own, as run does first.")
@json_option
def command(request: Request) -> int:
    """Show what a run would do and cost.

    Nothing is launched or written. With --check it ends with 2 where a run would refuse the model.
    """
    from ...running.cost_estimate import make_plan
    from ..printing import print_json, print_plan

    plan = make_plan(request)
    print_json(plan.to_json()) if request.as_json else print_plan(plan)
    return WRONG if plan.frozen_scores.agree is False else DONE
