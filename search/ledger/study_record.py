"""What was fixed when a study began, and whether a later run may go on with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...spaces.errors import WrongInput

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
    """Of the frozen model."""
    task_digest: str
    created: str
    """ISO 8601, UTC."""


def check(record: StudyRecord) -> None:
    """Raise `WrongInput` for what a ledger cannot keep."""
    name = record.name
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= 200:
        raise WrongInput(f"--study {name!r}: wanted 1 to 200 printable characters without spaces around them, such as demo")
    for option, value in (("budget", record.budget), ("seed", record.seed)):
        if not 0 <= value <= LARGEST:
            raise WrongInput(f"--{option} {value}: wanted a whole number from 0 to {LARGEST}")


def compare(found: StudyRecord, wanted: StudyRecord) -> None:
    """Raise `WrongInput`, naming what differs, where results of the two could not be compared."""
    told = [] if found.budget == wanted.budget else [f"--budget {found.budget}, not {wanted.budget}"]
    if found.fingerprint != wanted.fingerprint:
        told.append(f"model {_named(found, 'model', found.fingerprint)}, not {_named(wanted, 'model', wanted.fingerprint)}")
    if found.task_digest != wanted.task_digest:
        told.append(f"task {_named(found, 'task', found.task_digest)}, not {_named(wanted, 'task', wanted.task_digest)}")
    told += _recipe(found.space.get("training", {}), wanted.space.get("training", {}))
    if told:
        raise WrongInput(f"--study {found.name}: was begun with {'; '.join(told)}. Go on as it was begun, or give another --study name")


def _recipe(found: Mapping[str, object], wanted: Mapping[str, object]) -> list[str]:
    return [f"{key} {found.get(key)}, not {wanted.get(key)}" for key in {**found, **wanted} if found.get(key) != wanted.get(key)]


def _named(record: StudyRecord, part: str, digest: str) -> str:
    name = record.space.get(part, {}).get("name")
    return f"{name} ({digest[:12]})" if name else digest[:12]
