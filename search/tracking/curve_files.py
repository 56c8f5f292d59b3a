"""The curve's files in the home, and the ledger as the mirror sees it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...dashboards.csv_file import write_csv
from ...dashboards.curve import Curve
from ...dashboards.page import write_page
from ...dashboards.picture import write_picture
from ...spaces.records import Point
from ..ledger.reading import History, front_of
from .run_records import Part, Snapshot

if TYPE_CHECKING:
    from ..ledger.changes import Mark
    from ..ledger.ledger import Ledger, StudyRecord


class Pages:
    """Follows a study in its ledger, and draws its curve into `folder` whenever what is on it has changed. Used by one thread."""

    def __init__(self, ledger: "Ledger", record: "StudyRecord", *, folder: Path, store: str = "") -> None:
        self._ledger, self._record, self._folder, self._store = ledger, record, folder, store
        self._drawn: Sequence[Point] = ()
        self._front: set[int] = set()
        self._mark: Mark | None = None

    def snapshot(self, also: Collection[int] | None = None) -> Snapshot:
        """Return a study's trials and the files that show them: all of them (None), or those that have changed since the last call.

        Changed are those with new records, those that came onto the curve or left it, and the ones of these numbers.
        """
        name = self._record.name
        changed, self._mark = self._ledger.changes(name, since=None if also is None else self._mark)
        curve = front_of(self._ledger, name, self._store)
        front = {point.trial for point in curve.front}
        numbers = changed if also is None else sorted({*changed, *also, *(front ^ self._front)})
        self._front = front
        self._draw(curve)
        return Snapshot(
            frontier=curve.front,
            files=(*sorted(self._folder.glob("frontier.*")), *sorted(self._folder.glob("trial-*"))),
            references=curve.references,
            pages=_Parts(self._ledger, name, numbers),
            others=len(self._mark.trials),
            whole=also is None,
        )

    def _draw(self, curve: Curve) -> None:
        if curve.points and self._drawn != curve.points:
            draw(read_history(self._ledger, self._record, store=self._store, curve_alone=True).curve, self._folder)
            self._drawn = curve.points


@dataclass(frozen=True)
class _Parts:
    """Some trials of a study, read from the ledger a page at a time, as often as they are asked for."""

    ledger: "Ledger"
    study: str
    numbers: Sequence[int]

    def __iter__(self) -> Iterator[Part]:
        return ((page.trials, page.results, page.problems) for page in self.ledger.pages(self.study, self.numbers))


def read_history(ledger: "Ledger", record: "StudyRecord", *, store: str = "", curve_alone: bool = False) -> History:
    """Return what an open ledger holds of a study whose adapters are in `store`; `curve_alone` as in `read_study`."""
    name = record.name
    results = ledger.results(name, highest=curve_alone)
    return History(record, ledger.trials(name), results, ledger.problems(name), store, ledger.references(name))


def draw(curve: Curve, folder: Path) -> None:
    """Write the picture, the page and the table of a curve."""
    folder.mkdir(parents=True, exist_ok=True)
    write_picture(curve, folder / "frontier.png")
    write_page(curve, folder / "frontier.html")
    write_csv(curve, folder / "frontier.csv")
