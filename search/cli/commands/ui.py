"""`ulpt-search ui`: the MLflow UI on this home."""

import click

from ...home import Home
from ..options import example, home_options, tracking_option


@click.command("ui", epilog=example("  ulpt-search ui --port 5001"))
@home_options
@tracking_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; there is no password.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, metavar="NAME", help="A name by which browsers may ask for it.")
@click.option("--study", metavar="NAME", help="Open on this study; default: the newest.")
def command(
    home: str, ledger: str | None, tracking_uri: str | None, host: str, port: int, allowed_hosts: tuple[str, ...], study: str | None
) -> int:
    """Serve the MLflow UI with the curve.

    On this machine only, unless told otherwise.
    """
    from ...tracking.serving import serve

    places = Home.at(home, ledger=ledger, tracking_uri=tracking_uri)
    return serve(places, study=study, host=host, port=port, allowed_hosts=allowed_hosts)
