"""`ulpt-search tasks`: what to train on, and what a model gets of it."""

import click

from ..options import example, json_option, model_option


@click.group(
    "tasks", invoke_without_command=True, epilog=example("  ulpt-search tasks\n  ulpt-search tasks show chats.jsonl --model ./qwen")
)
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the built-in tasks, and how to bring one's own; `show` looks at rows as a model gets them."""
    if context.invoked_subcommand is not None:
        return
    from ..listings import list_tasks
    from ..printing import print_json, print_listings

    listings = list_tasks()
    print_json([listing.to_json() for listing in listings]) if as_json else print_listings(listings)


@command.command("show", epilog=example("  ulpt-search tasks show chats.jsonl --model ./qwen\n  ulpt-search tasks show rte --rows 1"))
@click.argument("task", metavar="TASK")
@model_option
@click.option("--rows", type=click.IntRange(min=1), default=3, show_default=True, help="How many training rows.")
@click.option("--set", "overrides", metavar="KEY=VALUE", multiple=True, help="As of run: --set task.template=plain.")
@json_option
def show(task: str, model: str | None, rows: int, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print rows of TASK, a name, file, folder or hub data set, token by token as the model gets them, and what was cut."""
    from ..printing import print_json
    from ..task_rows import shown_task
    from ..token_view import print_task

    found = shown_task(task, model, overrides, count=rows)
    print_json(found.to_json()) if as_json else print_task(found)
