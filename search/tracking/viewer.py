"""`ulpt-search ui`: MLflow's own server as a child process, on loopback unless told otherwise, gone when we are."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import IO

from ...spaces.errors import Failure, WrongInput

_PATIENCE = 90.0
_GRACE = 10.0
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nine idle processes of 240 MB that nothing here uses
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
}


def ui(
    *,
    tracking_uri: str,
    artifacts: Path,
    say: Callable[[str], None],
    chart: str = "",
    host: str = "127.0.0.1",
    port: int = 5000,
    allowed_hosts: Sequence[str] = (),
) -> int:
    """Serve the MLflow UI until Ctrl-C or SIGTERM, then end it with every process it started; return the exit status.

    `say` gets the address, with the page `chart` (see `Mirror.chart`) behind it, once the server answers. A tracking URI that is a
    server already is only said. To be called in the main thread, since it handles signals. `allowed_hosts` are the names under
    which a browser may ask (`search.example.org`), needed when `host` is not loopback.

    Raises `WrongInput` where the port or host cannot be used and `Failure` where the server does not come up.
    """
    if tracking_uri.startswith(("http://", "https://")):
        say(tracking_uri.rstrip("/") + chart)
        return 0
    _check_free(host, port)
    command = _command(tracking_uri, artifacts, host, port, allowed_hosts)
    with _asked_to_stop() as stop, TemporaryFile() as log, _server(command, log) as server:
        if _answers(server, f"http://{_printable(host)}:{port}/health", stop):
            say(f"http://{_printable(host)}:{port}{chart or '/'}")
        while server.poll() is None and not stop.wait(0.2):
            pass
        if not stop.is_set():
            raise Failure(f"the MLflow server ended by itself: {_reason(log)}")
    return 0


def _check_free(host: str, port: int) -> None:
    try:
        with _bound(host, port):
            return
    except socket.gaierror as error:
        raise WrongInput(f"--host {host}: no such address; 127.0.0.1 serves this machine alone") from error
    except OverflowError as error:
        raise WrongInput(f"--port {port}: a port is a number from 1 to 65535, for example 5001") from error
    except OSError as error:
        raise WrongInput(f"--port {port}: {error.strerror} on {host}{_way_out(host)}") from error


def _way_out(host: str) -> str:
    try:
        with _bound(host, 0) as probe:
            return f"; --port {probe.getsockname()[1]} is free"
    except OSError:
        return "; this machine has no such address, 127.0.0.1 always works"


def _bound(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    probe = socket.socket(family, socket.SOCK_STREAM)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    except BaseException:
        probe.close()
        raise
    return probe


def _command(tracking_uri: str, artifacts: Path, host: str, port: int, allowed_hosts: Sequence[str]) -> list[str]:
    names = ["localhost", "127.0.0.1", "[::1]", *([host] if host not in ("0.0.0.0", "::") else []), *allowed_hosts]
    options = {
        "--backend-store-uri": tracking_uri,
        "--artifacts-destination": artifacts.absolute().as_uri(),
        "--host": host,
        "--port": str(port),
        "--workers": "1",
        "--allowed-hosts": ",".join([*names, *(f"{name}:{port}" for name in names)]),
    }
    flat = [word for option in options.items() for word in option]
    return [sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *flat]


@contextmanager
def _server(command: Sequence[str], log: IO[bytes]) -> "Iterator[subprocess.Popen[bytes]]":
    """Run the command in a process group of its own, and leave nothing of the group behind."""
    environment = {**os.environ, **_ENVIRONMENT}
    # A session of its own: Ctrl-C reaches us alone, and we end the server in order.
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        yield server
    finally:
        _signal_group(server, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE)
        _signal_group(server, signal.SIGKILL)
        server.wait()


def _signal_group(server: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.pid, number)


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """Turn Ctrl-C and SIGTERM into an event while inside."""
    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(server: "subprocess.Popen[bytes]", url: str, stop: Event) -> bool:
    """Wait until the server answers; False when it ended or we were asked to stop before."""
    deadline = time.monotonic() + _PATIENCE
    while server.poll() is None and not stop.wait(0.1):
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):
            return True
        if time.monotonic() > deadline:
            raise Failure(f"the MLflow server did not answer at {url} within {_PATIENCE:.0f} s; look whether the machine is overloaded")
    return False


def _reason(log: IO[bytes]) -> str:
    """Return the last line that names an error, else the last line."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line or line.startswith("ERROR")]
    return (named or lines or ["it printed nothing"])[-1]


def _printable(host: str) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    return f"[{name}]" if ":" in name and not name.startswith("[") else name
