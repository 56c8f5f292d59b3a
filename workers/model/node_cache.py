"""What is the same for all workers of one machine: made once, kept in a file, and mapped into memory by each, so that it is there once."""

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from filelock import FileLock
from torch import Tensor

from .seeds import sha256_of

Tensors = Mapping[str, Tensor]


def once(path: Path, make: Callable[[], Tensors]) -> Tensors:
    """Return the tensors of a file, mapped rather than read; whoever comes first makes them while the others wait.

    A damaged file is made again. A folder that cannot be written to costs time and memory, never the result.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            kept = _mapped(path)
            if kept is None:
                _write(path, make())
                kept = _mapped(path)
    except OSError:
        kept = None
    return make() if kept is None else kept


def _mapped(path: Path) -> Tensors | None:
    """The file's tensors, or None where it is missing or does not hold what was written."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            wanted = (file.metadata() or {}).get("sha256")
    except (OSError, safetensors.SafetensorError):
        return None
    return tensors if sha256_of(tensors) == wanted else None


def _write(path: Path, tensors: Tensors) -> None:
    """Written aside and renamed: those who have mapped an older file keep it, and nobody sees half a file."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    own = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    try:
        safetensors.torch.save_file(own, aside, metadata={"sha256": sha256_of(own)})
        aside.replace(path)
    except safetensors.SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        aside.unlink(missing_ok=True)
