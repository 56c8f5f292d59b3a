import base64
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ulpt_search.search.tracking import chart_view as chart_page
from ulpt_search.search.tracking.mirror import Mirror
from ulpt_search.search.tracking.viewer import ui
from ulpt_search.spaces.errors import Failure, WrongInput

from .mirror_records import STUDY, add, assert_mirrored, result, small, statuses

SERVE = """
import sys
from pathlib import Path
from ulpt_search.search.tracking.viewer import ui
home = Path(sys.argv[1])
uri = f"sqlite:///{home / 'mlflow.sqlite'}"
say = lambda text: print(text, flush=True)
sys.exit(ui(tracking_uri=uri, artifacts=home / "mlartifacts", say=say, port=int(sys.argv[2]), chart="/#/x"))
"""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def no_server(home: Path, **options: int | str) -> None:
    said: list[str] = []
    ui(tracking_uri=f"sqlite:///{home / 'mlflow.sqlite'}", artifacts=home / "mlartifacts", say=said.append, **options)  # type: ignore[arg-type]
    assert said == []


def test_a_taken_port_names_a_free_one(tmp_path: Path, taken: int) -> None:
    with pytest.raises(WrongInput, match=rf"^--port {taken}: Address already in use on 127\.0\.0\.1; --port \d+ is free$") as error:
        no_server(tmp_path, port=taken)
    suggested = int(str(error.value).split()[-3])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", suggested))


def test_an_unknown_host_and_an_impossible_port_are_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"^--host no\.such\.host\.invalid: no such address"):
        no_server(tmp_path, host="no.such.host.invalid")
    with pytest.raises(WrongInput, match=r"^--port 70000: a port is a number from 1 to 65535"):
        no_server(tmp_path, port=70000)
    with pytest.raises(WrongInput, match=r"^--port 5000: Cannot assign .* on 192\.0\.2\.1; this machine has no such address"):
        no_server(tmp_path, host="192.0.2.1")


def test_a_server_elsewhere_is_only_said() -> None:
    said: list[str] = []
    assert ui(tracking_uri="http://mlflow.example/", artifacts=Path("unused"), say=said.append, chart="/#/e") == 0
    assert said == ["http://mlflow.example/#/e"]


def test_a_server_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    (tmp_path / "mlflow.sqlite").write_text("this is no database, " * 100)
    with pytest.raises(Failure, match=r"^the MLflow server ended by itself: .*not a database"):
        no_server(tmp_path, port=free_port())


def test_the_page_draws_score_over_parameters_of_this_study_alone() -> None:
    tags = chart_page.tags("abc123")
    kind, _, state = tags["mlflow.sharedViewState.abc123"].partition(";")
    page = json.loads(zlib.decompress(base64.b64decode(state)))
    chart = page["compareRunCharts"][0]
    assert (kind, chart["type"], chart["xaxis"]["key"], chart["yaxis"]["key"]) == (
        "deflate",
        "SCATTER",
        "trainable_parameters",
        "validation_score",
    )
    assert "tags.`ulpt_search.study` = 'abc123'" in page["searchFilter"]
    assert {chart["metricSectionId"] for chart in page["compareRunCharts"]} == {part["uuid"] for part in page["compareRunSections"]}
    assert "viewStateShareKey=abc123" in chart_page.page("7", "abc123")


def test_mlflow_comes_up_late_over_http_and_goes_without_a_trace(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    ours = Mirror(tracking_uri=f"http://127.0.0.1:{port}", artifacts=None, study=STUDY)
    ours.start(lambda also: small())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", SERVE, str(tmp_path), str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        assert server.stdout.readline() == f"http://127.0.0.1:{port}/#/x\n"
        assert ours.trouble == "Connection refused"  # while the server started
        assert ours.close(status="FINISHED", timeout=60)
        (tmp_path / "adapter").mkdir()
        (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
        more = replace(add(small(), result(3, 25, 0.7)), files=[tmp_path / "adapter"])
        Mirror(tracking_uri=f"http://127.0.0.1:{port}", artifacts=None, study=STUDY).sync(more, status=None)
        assert_mirrored(f"http://127.0.0.1:{port}", more)
        assert statuses(f"http://127.0.0.1:{port}")["study"] == "FINISHED"
        assert len(list((tmp_path / "mlartifacts").rglob("adapter/adapter_config.json"))) == 1
        foreign = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign, timeout=10)
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) >= 2
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0
    assert [process.pid for process in family if process.is_running()] == []
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
