"""MLflow beside a search: followed while it runs, and waited for at its end, for as long as somebody would wait."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..ledger.ledger import Ledger, StudyRecord
from ..request import Request
from ..tracking.curve_files import Pages
from ..tracking.mirror import Mirror
from ..tracking.run_records import Status
from .timekeeper import GRACE

PATIENCE, STOPPED, RETRY = 30.0, 10.0, 1.0
"""Seconds that the mirror gets to catch up after the search, after one that was interrupted, and for tries after one that failed."""
SILENT = 1.0
"""Seconds that a server may say nothing, after an interruption."""
LEAVING = 2.0
"""Seconds of the grace after a time limit that are kept for leaving."""


@contextmanager
def mirrored(request: Request, ledger: Ledger, record: StudyRecord) -> Iterator[Mirror]:
    """Follow the ledger in MLflow while inside; at the end its runs get the status that the search ended with."""
    home = request.places
    mirror = Mirror(tracking_uri=home.tracking_uri, artifacts=home.artifacts, study=record)
    mirror.start(Pages(ledger, record, folder=home.pages / record.name, store=home.store).snapshot)
    status: Status = "FAILED"
    stopped = False
    try:
        yield mirror
        status = "FINISHED"
    except KeyboardInterrupt:
        status, stopped = "KILLED", True
        raise
    finally:
        timeout = STOPPED if stopped else patience(request)
        retry = RETRY if stopped or mirror.trouble else None
        if not mirror.close(status=status, timeout=timeout, retry=retry, silence=SILENT if stopped else math.inf):
            click.echo(f"MLflow lags behind ({mirror.trouble or 'still writing'}); the next run or `ulpt-search ui` catches up", err=True)


def patience(request: Request) -> float:
    """Return the seconds that the mirror gets: no more than a time limit leaves."""
    if request.limit is None:
        return PATIENCE
    left = request.began + request.limit + GRACE - LEAVING - time.monotonic()
    return max(RETRY, min(PATIENCE, left))
