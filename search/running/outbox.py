"""Outcomes on their way into the ledger: where its database is away they wait on disk, and are acknowledged later, each once.

The brain is told of an outcome when the ledger has it, and nothing new is begun meanwhile. A driver that ends before leaves the files,
and the next one of the same study in the same home hands them in before it does anything else.
"""

import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...dashboards.words import duration
from ...spaces.errors import Away, Failure, Refused, reason
from ...spaces.hashing import sha256_of_json
from ...spaces.outages import FIRST_PAUSE, LONGEST_PAUSE
from ...spaces.records import Outcome
from ...spaces.secrecy import masked
from ..home import Home
from ..ledger.ledger import StudyRecord

Commit = Callable[[Outcome, Mapping[int, int]], object]
"""Writes an outcome down, and is told how many problems each of its trials had before."""


def outbox_of(home: Home, record: StudyRecord) -> Path:
    """Return the folder in which outcomes of a study wait for a home's ledger."""
    return home.unacknowledged / sha256_of_json([record.name, record.created, masked(home.ledger_url)])[:16]


@dataclass(frozen=True)
class Letter:
    """An outcome that waits, with what makes it safe to hand in twice: a commit may have been lost on its way back to us."""

    outcome: Outcome
    attempts: Mapping[int, int]

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return {"outcome": self.outcome.to_json(), "attempts": sorted(self.attempts.items())}

    @classmethod
    def read(cls, file: Path) -> "Letter":
        """Read what was kept; raises `ValueError`, `KeyError`, `TypeError` or `OSError` where it is something else."""
        values = json.loads(file.read_text(encoding="utf8"))
        return cls(Outcome.from_json(values["outcome"]), {int(trial): int(count) for trial, count in values["attempts"]})


class Outbox:
    """One driver's; `attempts`: the last in which each trial has failed before.

    `say` is told once when the database goes away, and once when it is back; and once where the disk cannot keep what waits.
    """

    def __init__(
        self,
        folder: Path,
        commit: Commit,
        *,
        attempts: Mapping[int, int] | None = None,
        patience: float,
        say: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._commit, self._patience, self._say, self._clock = folder, commit, patience, say, clock
        self._attempts = Counter(attempts)
        self._told = False  # that the disk cannot keep what waits
        self._letters: deque[tuple[Path, Letter]] = deque()
        self._number = 0
        self._since: float | None = None
        self._next = 0.0
        self._pause = FIRST_PAUSE

    @property
    def away(self) -> bool:
        """Whether the database is waited for."""
        return self._since is not None

    def add(self, outcome: Outcome) -> None:
        """Take an outcome in."""
        own = {problem.trial: self._attempts[problem.trial] for problem in outcome.problems}
        self._attempts.update(problem.trial for problem in outcome.problems)
        self._number += 1
        entry = self._folder / f"{self._number:06}.json", Letter(outcome, own)
        self._letters.append(entry)
        if self.away:
            self._keep(*entry)

    def acknowledged(self, *, hurry: bool = False) -> Iterator[Outcome]:
        """Yield the outcomes that are committed now, oldest first. Raises `Away` when the database was away for too long.

        With `hurry` there is no time left to wait. Another `Failure` is the database's, not the outcome's: what waits is on disk then.
        """
        while self._letters and (not self.away or self._clock() >= self._next or hurry):
            file, letter = self._letters[0]
            try:
                self._commit(letter.outcome, letter.attempts)
            except Away as error:
                self.wait(error, hurry=hurry)
                return
            except Failure:
                self._keep_all()
                raise
            self._letters.popleft()
            self.resume()
            file.unlink(missing_ok=True)
            yield letter.outcome

    def wait(self, error: Away, *, hurry: bool = False) -> None:
        """Take note that the database is away: what waits goes to the disk. Raises the error when that has lasted for too long."""
        now = self._clock()
        if self._since is None:
            self._since, self._pause = now, FIRST_PAUSE
            self._keep_all()
            told, kept = str(error).partition(";")[0], "waits in memory" if self._told else "is kept"
            self._say(masked(f"{told}; waiting for it, {duration(self._patience)} at most; what comes back meanwhile {kept}"))
        if hurry or now - self._since >= self._patience:
            raise error
        self._next, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE)

    def resume(self) -> None:
        """Take note that the database answers."""
        if self._since is not None:
            self._say(f"the ledger is back after {duration(self._clock() - self._since)}")
            self._since = None

    def due(self) -> bool:
        """Whether to ask the database for anything now."""
        return not self.away or self._clock() >= self._next

    def _keep_all(self) -> None:
        for entry in self._letters:
            self._keep(*entry)

    def _keep(self, file: Path, letter: Letter) -> None:
        """Write a letter down. A disk that cannot take it leaves it in memory, and says so once."""
        try:
            _write(file, letter)
        except OSError as error:
            if not self._told:
                self._say(f"{self._folder}: what comes back cannot be kept on disk ({reason(error)}), and is lost if the search ends now")
            self._told = True


def hand_in(folder: Path, commit: Commit, *, say: Callable[[str], object]) -> int:
    """Commit what earlier drivers left in a folder, and return how much that was.

    What cannot be read, or never be written down, is set aside. Raises the ledger's other `Failure`s, and what waits stays where it is.
    """
    done = 0
    for file in sorted(folder.glob("*.json")):
        try:
            letter = Letter.read(file)
            commit(letter.outcome, letter.attempts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, Refused) as error:
            say(masked(f"{file}: not handed in: {error}; its jobs are done again"))
            file.rename(file.with_suffix(".refused"))
        else:
            file.unlink()
            done += 1
    return done


def _write(file: Path, letter: Letter) -> None:
    """Write a letter down, whole or not at all, so that it outlives the machine's end. Raises `OSError`."""
    aside = file.with_suffix(".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with aside.open("w", encoding="utf8") as out:
            json.dump(letter.to_json(), out)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
