"""Where an export's folder goes: made aside under a name of its own, put in place file by file, and nothing of anybody else's touched."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...spaces.errors import WrongInput
from .card import NAME, Card, is_export
from .outside import inside, sha256_of_file


def claim(out: Path, *, force: bool) -> Path:
    """The folder that `out` stands for, links followed; `WrongInput` where it is taken.

    With `force`, an earlier export gives way: its files as they were written, nothing else.
    """
    folder = out.resolve()
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    if not (folder.is_dir() and is_export(folder)):
        raise WrongInput(f"export: {out} exists and is not empty; choose another --out")
    if not force:
        raise WrongInput(f"export: {out} exists and is not empty; add --force to replace that export, or choose another --out")
    changed = next((path for path, digest in _written(folder).items() if path.is_file() and sha256_of_file(path) != digest), None)
    if changed is not None:
        raise WrongInput(
            f"export: {changed} was changed since it was exported, so --force leaves it alone; move it, or choose another --out"
        )
    return folder


@contextlib.contextmanager
def aside(folder: Path) -> Iterator[Path]:
    """A new folder on the same disk, gone at the end: inside `folder` where that exists, else beside it."""
    room = folder if folder.is_dir() else folder.parent
    room.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=room, ignore_cleanup_errors=True) as made:
        made_folder = Path(made, "export")
        made_folder.mkdir()
        yield made_folder


def place(made: Path, folder: Path) -> None:
    """Move an export's files into `folder`, in the place of an earlier export's; the card goes first and comes last.

    Raises `WrongInput`, having changed nothing, where a file of somebody else has the name of one of ours.
    """
    names = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    old = set(_written(folder)) if is_export(folder) else set[Path]()
    taken = next((folder / name for name in names if (folder / name).exists() and folder / name not in old and str(name) != NAME), None)
    if taken is not None:
        raise WrongInput(f"export: {taken} is no file of the earlier export, so --force leaves it alone; move it, or choose another --out")
    (folder / NAME).unlink(missing_ok=True)
    for path in old:
        path.unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: str(name) == NAME):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).replace(folder / name)
    for empty in {path.parent for path in old} - {folder}:
        with contextlib.suppress(OSError):
            empty.rmdir()


def _written(folder: Path) -> dict[Path, str]:
    """The files that an export's card says it wrote, with their sha256."""
    return {inside(folder, name): digest for name, digest in Card.read(folder).files.items()}
