"""`ulpt-search doctor`: is everything there?"""

import click

from ...home import Home
from ..options import example, home_options, json_option


@click.command("doctor", epilog=example("  ulpt-search doctor"))
@home_options
@json_option
def command(home: str, ledger: str | None, as_json: bool) -> int:
    """Check that everything is there."""
    from ..doctor import examine
    from ..printing import print_checks, print_json

    checks = examine(Home.at(home, ledger=ledger))
    print_json([check.to_json() for check in checks]) if as_json else print_checks(checks)
    return 0 if all(check.fine for check in checks if check.needed) else 1
