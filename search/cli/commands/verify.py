"""`ulpt-search verify`: the proof of an exported adapter, again."""

from pathlib import Path

import click

from ..options import example, json_option


@click.command("verify", epilog=example("  ulpt-search verify adapter"))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="Where the frozen model is now, if it has moved.")
@json_option
def command(folder: Path, model: str | None, as_json: bool) -> int:
    """Prove an exported adapter again: whole, on the right model, and doing what was trained.

    Ends with 1 where a check fails, and says which.
    """
    from ....workers.exports import verify
    from ..printing import print_json, print_verdict

    verdict = verify(folder, model=model)
    print_json(verdict.to_json()) if as_json else print_verdict(verdict)
    return 0 if verdict.fine else 1
