"""`ulpt-search verify`: the proof of an exported adapter, again, or whether what is kept of a study holds together."""

from pathlib import Path

import click

from ...home import Home
from ..options import example, home_options, json_option, store_option


@click.command("verify", epilog=example("  ulpt-search verify adapter\n  ulpt-search verify ulpt-pydocs-minilm-1e4"))
@click.argument("what", metavar="DIR|STUDY")
@click.option("--model", metavar="NAME", help="Of an export: where the frozen model is now, if it has moved.")
@home_options
@store_option
@json_option
def command(what: str, model: str | None, home: str, ledger: str | None, store: str | None, as_json: bool) -> int:
    """Prove an exported adapter again, or check a study.

    An export is whole, on the right model, and does what was trained. Of a study, rows, adapters, identities and the finals' scores
    agree; a search trial's score is kept once and cannot be checked. Ends with 1 where a check fails, and says which.
    """
    if Path(what).is_dir():
        return _export(Path(what), model=model, as_json=as_json)
    from ...keeping.checking import check_study
    from ...ledger.damage import require_sound
    from ...ledger.reading import read_study
    from ..printing import print_json, print_study_checks

    places = Home.at(home, ledger=ledger, store=store)
    if places.has_ledger:
        require_sound(places.ledger_url)
    checks = check_study(read_study(places, what))
    print_json([check.to_json() for check in checks]) if as_json else print_study_checks(checks)
    return 0 if all(check.fine for check in checks) else 1


def _export(folder: Path, *, model: str | None, as_json: bool) -> int:
    from ....workers.exports import verify
    from ..printing import print_json, print_verdict

    verdict = verify(folder, model=model)
    print_json(verdict.to_json()) if as_json else print_verdict(verdict)
    return 0 if verdict.fine else 1
