"""What was fixed when a study began, and whether a later run may go on with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...spaces.errors import WrongInput
from ...spaces.identity import Difference, Identity, other_numerics, said
from ...spaces.space import Training

LARGEST = 2**63 - 1
"""The largest whole number that a database keeps."""


@dataclass(frozen=True)
class StudyRecord:
    """What was fixed when a study began."""

    name: str
    space: dict[str, Any]
    """As `spaces.space_json` writes it."""
    budget: int
    """Largest number of trainable parameters."""
    seed: int
    fingerprint: str
    """sha256 of the frozen model's weights."""
    task_digest: str
    created: str
    """ISO 8601, UTC."""
    identity: dict[str, Any] | None = None
    """As `Identity.to_json` writes it; None of a study that is older than identities and has not been continued since."""

    @property
    def known(self) -> Identity | None:
        """What all results of the study rest on."""
        return None if self.identity is None else Identity.from_json(self.identity)

    def other_numerics(self, now: Identity) -> str:
        """Say in what the numerics of `now` differ from those that the study was begun with; empty where they do not."""
        return "" if self.known is None else other_numerics(str(self.known.numerics), str(now.numerics))

    @property
    def has_former_rates(self) -> bool:
        """Whether it was begun when learning rates were absolute (`docs/decisions/0009-rates-without-units.md`)."""
        return "schedule" not in self.space.get("training", {})

    @property
    def task_notes(self) -> tuple[str, ...]:
        """What was done to the task's data beyond reading it; none of a study that is older than this."""
        return tuple(self.space.get("task_notes", ()))


def check(record: StudyRecord) -> None:
    """Raise `WrongInput` for what a ledger cannot keep."""
    name = record.name
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= 200:
        raise WrongInput(f"--study {name!r}: wanted 1 to 200 printable characters without spaces around them, such as demo")
    for option, value in (("budget", record.budget), ("seed", record.seed)):
        if not 0 <= value <= LARGEST:
            raise WrongInput(f"--{option} {value}: wanted a whole number from 0 to {LARGEST}")


Recognise = Callable[[StudyRecord], tuple[Sequence[Difference], Sequence[Difference]]]
"""What differs in the model and in the task from a study that has no identity yet."""


def refuse(record: StudyRecord) -> tuple[Sequence[Difference], Sequence[Difference]]:
    """Raise `WrongInput`: who has no model at hand cannot say whether it is the one of such a study."""
    raise WrongInput(f"--study {record.name}: was begun by an earlier version; continue it once with ulpt-search run")


def compare(found: StudyRecord, wanted: StudyRecord, *, model: Sequence[Difference], task: Sequence[Difference]) -> None:
    """Raise `WrongInput`, naming what differs, where results of the two could not be compared.

    `model` and `task` are what differs in those.
    """
    told = [] if found.budget == wanted.budget else [f"--budget {found.budget}, not {wanted.budget}"]
    told += [f"{_named(found, wanted, 'model')} ({said(model)})"] if model else []
    told += [f"{_named(found, wanted, 'task')} ({said(task)})"] if task else []
    told += _recipe(found.space.get("training", {}), wanted.space.get("training", {}))
    told += _plugins(found.space.get("plugins", {}), wanted.space.get("plugins", {}))
    if told:
        raise WrongInput(f"--study {found.name}: was begun with {'; '.join(told)}. Go on as it was begun, or give another --study name")


def _recipe(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    """What differs between two recipes; of what an earlier version did not know, it trained as the default says."""
    then, now = ({**asdict(Training()), **recipe} for recipe in (found, wanted))
    return [f"{key} {then[key]}, not {now.get(key)}" for key in then if _plain(then[key]) != _plain(now.get(key))]


def _plugins(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """What other distributions, or versions of them, bring than when the study began; of a task the data itself is compared."""
    same = [name for name in found if name in wanted and not name.startswith("task ")]
    return [f"{name} of {found[name]}, not {wanted[name]}" for name in same if found[name] != wanted[name]]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _named(found: StudyRecord, wanted: StudyRecord, part: str) -> str:
    then, now = (record.space.get(part, {}).get("name", "") for record in (found, wanted))
    return f"{part} {then}" if then == now else f"{part} {then}, not {now}"
