"""Where a search keeps its state: one folder, and what may live elsewhere because the user said so."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..spaces.errors import WrongInput


@dataclass(frozen=True)
class Home:
    """The places of a search. Every path is absolute: workers run in other folders."""

    root: Path
    ledger_url: str
    store: str
    tracking_uri: str

    @classmethod
    def at(cls, root: str | Path, *, ledger: str | None = None, store: str | None = None, tracking_uri: str | None = None) -> "Home":
        """Return the places under `root`; a given URL takes the place of the folder's own. Nothing is created."""
        folder = Path(root).expanduser().resolve()
        return cls(
            root=folder,
            ledger_url=ledger or f"sqlite:///{folder / 'ledger.sqlite'}",
            store=_absolute(store) if store else str(folder / "store"),
            tracking_uri=tracking_uri or f"sqlite:///{folder / 'mlflow.sqlite'}",
        )

    @property
    def artifacts(self) -> Path | None:
        """MLflow's pictures and adapters; None where an MLflow server keeps them."""
        return None if self.tracking_uri.startswith(("http://", "https://")) else self.root / "mlartifacts"

    @property
    def ray(self) -> Path:
        """Ray's results."""
        return self.root / "ray"

    @property
    def cache(self) -> Path:
        """What can be found again: measured speeds, tokenised tasks."""
        return self.root / "cache"

    @property
    def known_cache(self) -> Path | None:
        """The cache of a home that is there; None before its first study, when nothing may be written yet."""
        return self.cache if self.root.is_dir() else None

    @property
    def speeds(self) -> Path:
        """How fast this machine trains what."""
        return self.cache / "speed.json"

    @property
    def unacknowledged(self) -> Path:
        """Outcomes that wait for their ledger, one folder for each study in each."""
        return self.root / "unacknowledged"

    @property
    def pages(self) -> Path:
        """The curve's files, one folder a study."""
        return self.root / "curves"

    @property
    def has_ledger(self) -> bool:
        """Whether there may be something to read: always true of a ledger that is not a file."""
        path = self.ledger_url.removeprefix("sqlite:///")
        return path == self.ledger_url or Path(path).exists()

    def check(self) -> None:
        """Raise `WrongInput` where the folder could not be made or written to; creates nothing."""
        nearest = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        if not nearest.is_dir():
            raise WrongInput(f"--home {self.root}: {nearest} is a file; give a folder of yours with --home")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise WrongInput(f"--home {self.root}: {nearest} cannot be written to; give a folder of yours with --home")

    def prepare(self) -> None:
        """Create the folder. Raises `WrongInput` where nothing can be written there."""
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o700, exist_ok=True)  # texts of a task, and perhaps a ledger's password, are nobody else's business
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise WrongInput(f"--home {self.root}: cannot be written to ({reason}); give a folder of yours with --home") from error
        self.keep_caches()

    def keep_caches(self) -> None:
        """Let matplotlib keep its list of fonts here; it would write it into the person's own folders otherwise."""
        os.environ.setdefault("MPLCONFIGDIR", str(self.root / "cache" / "matplotlib"))


def _absolute(url: str) -> str:
    return url if "://" in url else str(Path(url).expanduser().resolve())
