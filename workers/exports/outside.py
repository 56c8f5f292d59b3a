"""The door for files from elsewhere: nothing is loaded that is not whole, that lies about itself or that would run as code."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from ...spaces.errors import WrongInput

CODE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".so")
"""Endings of files that run code when a library loads them."""
COUNTS = ("r", "num_virtual_tokens", "token_dim", "num_layers", "num_attention_heads", "n_frequency", "num_vectors", "vector_length")
"""Fields of an adapter_config.json that say how much memory PEFT takes."""


def sha256_of_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file in a folder."""
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def inside(folder: Path, name: str) -> Path:
    """The path of a file that a card names; `WrongInput` where it would leave the folder or is no plain file."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise WrongInput(f"{folder}: the card names {name!r}, which is not inside the folder; get the export again")
    path = folder / parts
    if path.exists() and not path.is_file():
        raise WrongInput(f"{path}: not a plain file; get the export again")
    return path


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """`WrongInput` naming the first file that is not what its export wrote, or that a library would run as code.

    Texts for people (`*.md`) may change.
    """
    for name, digest in files.items():
        path = inside(folder, name)
        if path.suffix == ".md":
            continue
        if not path.is_file():
            raise WrongInput(f"{path}: missing; get the export again")
        if sha256_of_file(path) != digest:
            raise WrongInput(f"{path}: damaged or changed, its sha256 is not the card's {digest[:12]}…; get the export again")
    for path in _loadable(folder):
        if path.relative_to(folder).as_posix() not in files:
            raise WrongInput(f"{path}: not a file of this export, and a library may load it; move it away")


def _loadable(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix in (*CODE, ".safetensors", ".json") and path.name != "ulpt.json")


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; `WrongInput` in one line where it is missing or its header lies."""
    try:
        with path.open("rb") as file:  # a header may promise more than there is: safetensors checks it against the file's size
            file.read(1)
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise WrongInput(f"{path}: not a usable safetensors file: {_line(error)}; get the export again") from error


def elements_of(path: Path) -> int:
    """How many numbers a safetensors file holds, without reading them."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            return sum(_product(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - not a mapping
    except (OSError, safetensors.SafetensorError, ValueError) as error:
        raise WrongInput(f"{path}: not a usable safetensors file: {_line(error)}; get the export again") from error


def check_adapter(folder: Path) -> None:
    """`WrongInput` where a PEFT folder has no safetensors file, or promises larger tensors than it holds."""
    path = folder / "adapter_config.json"
    held = elements_of(folder / "adapter_model.safetensors")
    try:
        config: Any = json.loads(path.read_text(encoding="utf8"))
        sizes = {key: config[key] for key in COUNTS if isinstance(config.get(key), int)}
        ranks = config.get("rank_pattern") or {}
        sizes |= {f"rank_pattern.{key}": value for key, value in ranks.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise WrongInput(f"{path}: not a usable adapter_config.json: {_line(error)}; get the export again") from error
    large = next((key for key, size in sizes.items() if not isinstance(size, int) or size > held), None)
    if large is not None:
        raise WrongInput(f"{path}: {large} is {sizes[large]}, but the adapter holds {held} numbers in all; get the export again")


def _product(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
