"""`ulpt-search evaluate`: score an exported adapter."""

from pathlib import Path

import click

from ..options import example, json_option


@click.command("evaluate", epilog=example("  ulpt-search evaluate adapter --task pydocs"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--task", metavar="NAME", help="pydocs, a file or folder, or a hub data set; default: the task it was trained on.")
@json_option
def command(folder: Path, task: str | None, as_json: bool) -> None:
    """Score an exported adapter on a task's test split."""
    from ...workers.exports import evaluate
    from ..printing import print_evaluation, print_json

    report = evaluate(folder, task)
    print_json(report) if as_json else print_evaluation(report)
