"""The one file that talks to MLflow: it makes the runs of one study equal to their entries, as often as it is asked.

Nothing is believed to be there until MLflow says so: runs are found again by their tags, and metrics carry timestamps that
depend only on their run, so writing a value a second time changes nothing.
"""

import hashlib
import json
import logging
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock

from .chart_view import page, tags
from .driver_tags import gone, stamp
from .run_records import (
    IDENTITY,
    KEY,
    STUDY,
    Change,
    Logged,
    RunRecord,
    Snapshot,
    Status,
    difference,
    identity,
    reference_runs,
    settled,
    study_run,
    trial_runs,
)
from .surroundings import be_quiet

if TYPE_CHECKING:
    from ..ledger.ledger import StudyRecord

be_quiet()

with warnings.catch_warnings():
    # mlflow asks SQLAlchemy for a loader strategy that 2.1 deprecates. The warning comes when a mapped class is first
    # used; as an error it would leave the mappers of the whole process half made, so they are made here.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag, ViewType
    from mlflow.store.tracking.dbmodels.models import SqlRun

    SqlRun()

EXPERIMENTS = "ulpt-search/"
"""Every study has an experiment of its own, named by this and the study."""

_FILES = "ulpt_search.files"
_REPLACED = "replaced"
_METRICS, _OTHERS, _PAGE = 900, 90, 1000
T = TypeVar("T")


class Tracking:
    """The MLflow runs of one study."""

    def __init__(self, *, tracking_uri: str, artifacts: Path | None, study: "StudyRecord") -> None:
        """`artifacts` is the folder for pictures and adapters; None leaves the place to the tracking server."""
        self._uri, self._artifacts, self._study = tracking_uri, artifacts, study
        self._identity = identity(study)
        self.forget()

    def forget(self) -> None:
        """Drop what is believed about MLflow; the next `sync` looks again."""
        self._client: Any = None
        self._experiment = ""
        self._file: tuple[int, int] | None = None
        self._logged: dict[str, Logged] = {}

    @property
    def believes_nothing(self) -> bool:
        """Whether the next `sync` looks at MLflow anew, and has to be given every trial."""
        return self._client is None or self._file != _file_identity(self._uri)

    @property
    def running(self) -> list[int]:
        """The trials whose runs say that they run."""
        return [int(key) for key, logged in self._logged.items() if logged.status == "RUNNING" and key.isdecimal()]

    @property
    def chart(self) -> str:
        """Path and query of the page that opens with the curve drawn, relative to the server; empty before `sync`."""
        return page(self._experiment, self._identity) if self._experiment else ""

    def sync(self, snapshot: Snapshot, *, status: Status | None, got_on: Callable[[], object] = lambda: None) -> None:
        """Make MLflow show the snapshot, with `status` for the study itself; again with the same, it changes nothing.

        None is the status of a study that nobody drives: as its last driver left it. `got_on` is called after every answer of MLflow.
        Raises whatever mlflow, its database, the disk or the network raise; `forget` before trying again.
        """
        if self.believes_nothing and not snapshot.whole:
            raise OSError("its database was replaced a moment ago")
        self._connect()
        got_on()
        if status is None:
            shown = self._logged.get(STUDY)
            status = settled(snapshot, shown=shown.status if shown else None)
        study = study_run(self._study, snapshot, status=status)
        if status == "RUNNING":
            study = replace(study, tags={**study.tags, **stamp()})
        parent = self._ensure(study)
        beside = reference_runs(self._study, snapshot, parent=parent.run)
        for entry in (*beside, *trial_runs(self._study, snapshot, status=status, parent=parent.run)):
            self._write(entry)
            got_on()
        self._upload(snapshot.files)
        got_on()
        self._write(study)

    def _connect(self) -> None:
        if self.believes_nothing:
            self.forget()
            client = connect(self._uri)
            self._experiment = self._find_experiment(client)
            self._logged = self._find_runs(client)
            self._file, self._client = _file_identity(self._uri), client

    def _find_experiment(self, client: Any) -> str:
        name = EXPERIMENTS + self._study.name
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            place = (self._artifacts / self._identity).absolute().as_uri() if self._artifacts else None
            client.create_experiment(name, artifact_location=place)
            experiment = client.get_experiment_by_name(name)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)  # with all its runs
        for key, value in tags(self._identity).items():
            if experiment.tags.get(key) != value:
                client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)

    def _find_runs(self, client: Any) -> dict[str, Logged]:
        found: dict[str, Logged] = {}
        runs = _search(client, [self._experiment], f"tags.`{IDENTITY}` = '{self._identity}'", deleted=True)
        for run in sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id)):
            key, deleted = run.data.tags[KEY], run.info.lifecycle_stage == "deleted"
            if key == _REPLACED or key in found:
                if not deleted:
                    _discard(client, run.info.run_id)
                continue
            if deleted:
                client.restore_run(run.info.run_id)
            found[key] = Logged(run.info.run_id, run.info.start_time, run.info.status, _shared(run.data.tags))
        return found

    def _ensure(self, entry: RunRecord) -> Logged:
        """Return the entry's run, made anew where it is missing or contradicts the ledger."""
        logged = self._logged.get(entry.key)
        if logged and difference(entry, logged) is None:
            _discard(self._client, self._logged.pop(entry.key).run)
            logged = None
        if logged is None:
            now = round(time.time() * 1000)
            run = self._client.create_run(self._experiment, start_time=now, tags=dict(entry.tags), run_name=entry.name)
            logged = self._logged[entry.key] = Logged(run.info.run_id, now, "RUNNING", dict(entry.tags))
        return logged

    def _write(self, entry: RunRecord) -> None:
        logged = self._ensure(entry)
        change = difference(entry, logged)
        assert change is not None, f"run {logged.run} contradicts entry {entry.key} although it was just compared"
        self._log(logged, change)
        if change.status == "RUNNING":
            self._client.update_run(logged.run, status="RUNNING")
        elif change.status:
            end = logged.started + round(entry.seconds * 1000) if entry.seconds else round(time.time() * 1000)
            self._client.set_terminated(logged.run, status=change.status, end_time=end)
        if change:
            self._logged[entry.key] = replace(logged, tags=_shared({**logged.tags, **change.tags}), status=entry.status)

    def _log(self, logged: Logged, change: Change) -> None:
        """Write values first and tags last, in as few calls as take them: the mark among the tags says that the values are there."""
        metrics = [Metric(n.key, n.value, logged.started + round(n.after * 1000), n.step) for n in change.numbers]
        params = [Param(key, value) for key, value in change.params.items()]
        marks = [RunTag(key, value) for key, value in change.tags.items()]
        if len(metrics) <= _METRICS and len(params) <= _OTHERS and len(marks) <= _OTHERS:  # a store writes the tags of a batch last
            if metrics or params or marks:
                self._client.log_batch(logged.run, metrics=metrics, params=params, tags=marks)
            return
        for some_metrics, some_params in zip_longest(_batches(metrics, _METRICS), _batches(params, _OTHERS), fillvalue=()):
            self._client.log_batch(logged.run, metrics=some_metrics, params=some_params)
        for some_tags in _batches(marks, _OTHERS):
            self._client.log_batch(logged.run, tags=some_tags)

    def _upload(self, files: Sequence[Path]) -> None:
        parent = self._logged[STUDY]
        known: dict[str, str] = json.loads(parent.tags.get(_FILES, "{}"))
        wanted = {path.name: path for path in files if path.exists()}
        digests = {name: _digest(path) for name, path in wanted.items()}
        changed = [name for name, digest in digests.items() if known.get(name) != digest]
        for name in changed:
            send = self._client.log_artifacts if wanted[name].is_dir() else self._client.log_artifact
            send(parent.run, str(wanted[name]), *([name] if wanted[name].is_dir() else []))
        if changed:
            text = json.dumps({**known, **digests})
            self._client.set_tag(parent.run, _FILES, text)
            self._logged[STUDY] = replace(parent, tags={**parent.tags, _FILES: text})


def connect(tracking_uri: str) -> MlflowClient:
    """Return mlflow's client of a store whose schema is there."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)  # what goes wrong is raised; mlflow would print it as well
    prepare(tracking_uri)
    return MlflowClient(tracking_uri=tracking_uri)


def prepare(tracking_uri: str) -> None:
    """Create the schema where the URI names an SQLite file that is not there yet; does nothing for other stores.

    The schema is made in a file aside and moved into place, under a lock: no process ever sees half of it, whoever is
    killed and however many start at once.
    """
    path = sqlite_file(tracking_uri)
    if path is None or (path.exists() and path.stat().st_size):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists() and path.stat().st_size:
            return
        for old in path.parent.glob(f"{path.name}.new-*"):
            old.unlink()
        fresh = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")
        MlflowClient(tracking_uri=f"sqlite:///{fresh}").search_experiments(max_results=1)
        fresh.replace(path)


def find_chart(tracking_uri: str, study: "StudyRecord") -> str:
    """Return the path of the page that opens with the study's curve, for one that another process mirrors; empty if it is not there.

    Raises whatever mlflow raises when the store cannot be reached.
    """
    experiment = connect(tracking_uri).get_experiment_by_name(EXPERIMENTS + study.name)
    return page(str(experiment.experiment_id), identity(study)) if experiment else ""


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the file behind an `sqlite:///` URI, None for any other."""
    prefix = "sqlite:///"
    return Path(tracking_uri.removeprefix(prefix)).absolute() if tracking_uri.startswith(prefix) else None


def close_orphans(tracking_uri: str) -> list[str]:
    """End the runs of studies whose driver is gone as KILLED; return the names of those studies.

    Raises whatever mlflow raises when the store cannot be reached.
    """
    path = sqlite_file(tracking_uri)
    if path is not None and not path.exists():
        return []
    client = connect(tracking_uri)
    experiments = [e.experiment_id for e in client.search_experiments(filter_string=f"name LIKE '{EXPERIMENTS}%'")]
    running = list(_search(client, experiments, "attributes.status = 'RUNNING'")) if experiments else []
    parents = [run for run in running if run.data.tags.get(KEY) == STUDY and gone(run.data.tags)]
    orphans = {run.data.tags[IDENTITY] for run in parents}
    for run in sorted(running, key=lambda run: run.data.tags.get(KEY) == STUDY):  # the parent last: it leads to the others
        if run.data.tags.get(IDENTITY) in orphans:
            client.set_terminated(run.info.run_id, status="KILLED")
    return sorted({run.data.tags["study"] for run in parents})


def _search(client: Any, experiments: Sequence[str], condition: str, *, deleted: bool = False) -> Iterator[Any]:
    view, token = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY, None
    while True:
        found = client.search_runs(experiments, condition, view, max_results=_PAGE, page_token=token)
        yield from found
        token = found.token
        if not token:
            return


def _discard(client: Any, run: str) -> None:
    client.set_tag(run, KEY, _REPLACED)  # so that it is not taken for one that a person deleted, and restored
    client.delete_run(run)


def _shared(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The same tags, of which those that many runs have are in memory once."""
    return {sys.intern(key): sys.intern(value) for key, value in tags.items()}


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _file_identity(tracking_uri: str) -> tuple[int, int] | None:
    path = sqlite_file(tracking_uri)
    if path is None or not path.exists():
        return None
    return (path.stat().st_dev, path.stat().st_ino)
