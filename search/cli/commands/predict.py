"""`ulpt-search predict`: use an exported adapter."""

from pathlib import Path

import click

from ....spaces.errors import WrongInput
from ..options import example, json_option


@click.command("predict", epilog=example('  ulpt-search predict adapter "Parse a header line into its name and value."'))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@click.option("--model", metavar="NAME", help="Where the frozen model is now, if it has moved.")
@click.option("--pairs", is_flag=True, help="Texts are pairs, a first and its second in turn.")
@json_option
def command(folder: Path, texts: tuple[str, ...], model: str | None, pairs: bool, as_json: bool) -> None:
    """Label texts with an exported adapter, or put a number on them."""
    from ....workers.exports import load_export
    from ..printing import print_json, print_predictions

    if pairs and len(texts) % 2:
        raise WrongInput(f"predict --pairs: got {len(texts)} texts; give an even number, a first and its second in turn")
    answers = load_export(folder, model=model)(list(zip(texts[::2], texts[1::2], strict=True)) if pairs else texts)
    print_json(answers) if as_json else print_predictions(answers)
