"""A bucket on moto's S3 server, which can be ended and begun again with what is in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pytest

BUCKET = "adapters"
PUBLIC = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Bucket:
    """Its URL is the same before and after."""

    _server: Any
    url: str = f"s3://{BUCKET}/mine"

    def end(self) -> None:
        """Nothing listens from here on."""
        self._server.stop()

    def start(self) -> None:
        """Listen again, at the same port; moto keeps the contents in this process."""
        host, port = self._server.get_host_and_port()
        self._server = type(self._server)(host, port, verbose=False)
        self._server.start()


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """Yield a bucket that is there; the environment leads every S3 client to it. Skips the test where there is no moto."""
    server = pytest.importorskip("moto.server", reason="no S3 server here: pip install 'moto[server]'").ThreadedMotoServer(
        "127.0.0.1", 0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    for key, value in {**PUBLIC, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(key, value)
    import boto3

    fsspec.get_filesystem_class("s3").clear_instance_cache()  # an earlier bucket's client goes on to ask at the earlier port
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    made = Bucket(server)
    yield made
    made.end()
