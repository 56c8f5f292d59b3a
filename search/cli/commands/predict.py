"""`ulpt-search predict`: use an exported adapter."""

from pathlib import Path

import click

from ..options import example, json_option

EXAMPLE = """\
  ulpt-search predict adapter "Parse a header line into its name and value."
  ulpt-search predict adapter --file questions.jsonl --jsonl > answers.jsonl"""


@click.command("predict", epilog=example(EXAMPLE))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A text a line, or JSON objects in .jsonl.")
@click.option("--model", metavar="NAME", help="Where the frozen model is now, if it has moved.")
@click.option("--pairs", is_flag=True, help="Texts are pairs, a first and its second in turn.")
@click.option("--batch", type=click.IntRange(min=1), default=64, show_default=True, help="Texts that are answered together.")
@click.option("--jsonl", is_flag=True, help="Print a line of JSON for each text, as soon as its batch is done.")
@json_option
def command(
    folder: Path, texts: tuple[str, ...], file: Path | None, model: str | None, pairs: bool, batch: int, jsonl: bool, as_json: bool
) -> None:
    """Label texts with an exported adapter, put a number on them, or let it answer them.

    Texts are arguments, lines of stdin (or of `-`), or a file's.
    """
    from ..asked_texts import asked, batches

    rows = batches(asked(texts, file, pairs=pairs), batch)
    first = next(rows, [])  # what is wrong with it is said before a model is loaded

    from ....workers.exports import load_export
    from ..printing import print_json, print_predictions

    predict, kept = load_export(folder, model=model), []
    for own in (first, *rows) if first else ():
        answers = predict([row.text for row in own], [row.choices for row in own] if any(row.choices for row in own) else ())
        if as_json:
            kept += answers
        else:
            print_predictions(answers, jsonl=jsonl)
    if as_json:
        print_json(kept)
