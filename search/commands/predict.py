"""`ulpt-search predict`: use an exported adapter."""

from pathlib import Path

import click

from ..options import example, json_option


@click.command("predict", epilog=example('  ulpt-search predict adapter "Parse a header line into its name and value."'))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
@json_option
def command(folder: Path, texts: tuple[str, ...], as_json: bool) -> None:
    """Label texts with an exported adapter."""
    from ...workers.exports import predict
    from ..printing import print_json, print_predictions

    answers = predict(folder, texts)
    print_json([{"text": text, "label": label} for text, label in zip(texts, answers, strict=True)]) if as_json else print_predictions(answers)
