"""The curve's files in the home, and the ledger as the mirror sees it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ...dashboards.csv_file import write_csv
from ...dashboards.curve import Curve
from ...dashboards.page import write_page
from ...dashboards.picture import write_picture
from ..ledger.reading import History
from .run_records import Snapshot

if TYPE_CHECKING:
    from ..ledger.ledger import Ledger, StudyRecord


class Pages:
    """Draws a study's curve into `folder` whenever it has changed. Used by one thread."""

    def __init__(self, ledger: "Ledger", record: "StudyRecord", *, folder: Path, store: str = "") -> None:
        self._ledger, self._record, self._folder, self._store = ledger, record, folder, store
        self._drawn: Curve | None = None

    def snapshot(self) -> Snapshot:
        """Return the ledger's records and the files that show them, drawn anew where the curve has changed."""
        history = read_history(self._ledger, self._record, store=self._store)
        curve = history.curve
        if curve.points and self._drawn != curve:
            draw(curve, self._folder)
            self._drawn = curve
        files = (*sorted(self._folder.glob("frontier.*")), *sorted(self._folder.glob("trial-*")))
        return Snapshot(history.trials, history.results, history.problems, curve.front, files, history.references)


def read_history(ledger: "Ledger", record: "StudyRecord", *, store: str = "") -> History:
    """Return what an open ledger holds of a study whose adapters are in `store`."""
    name = record.name
    return History(record, ledger.trials(name), ledger.results(name), ledger.problems(name), store, ledger.references(name))


def draw(curve: Curve, folder: Path) -> None:
    """Write the picture, the page and the table of a curve."""
    folder.mkdir(parents=True, exist_ok=True)
    write_picture(curve, folder / "frontier.png")
    write_page(curve, folder / "frontier.html")
    write_csv(curve, folder / "frontier.csv")
