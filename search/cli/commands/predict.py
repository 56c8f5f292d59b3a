"""`ulpt-search predict`: use an exported adapter."""

from pathlib import Path

import click

from ..options import example, json_option


@click.command("predict", epilog=example('  ulpt-search predict adapter "Parse a header line into its name and value."'))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="NAME", help="Where the frozen model is now, if it has moved.")
@json_option
def command(folder: Path, texts: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Label texts with an exported adapter."""
    from ....workers.exports import load_export
    from ..printing import print_json, print_predictions

    answers = load_export(folder, model=model)(texts)
    print_json(answers) if as_json else print_predictions(answers)
