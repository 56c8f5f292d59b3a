"""`ulpt-search evaluate`: score an exported adapter."""

from pathlib import Path

import click

from ..options import example, json_option


@click.command("evaluate", epilog=example("  ulpt-search evaluate adapter --task pydocs"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--task", metavar="NAME", required=True, help="pydocs, a file or folder, or a hub data set.")
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test", show_default=True, help="Which rows.")
@click.option("--model", metavar="NAME", help="Where the frozen model is now, if it has moved.")
@json_option
def command(folder: Path, task: str, split: str, model: str | None, as_json: bool) -> None:
    """Score an exported adapter on a task."""
    from ....workers.exports import evaluate
    from ..listings import read_task
    from ..printing import print_evaluation, print_json

    report = evaluate(folder, read_task(task), split=split, model=model)
    print_json(report) if as_json else print_evaluation(report)
