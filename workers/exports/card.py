"""The card of an exported adapter, `ulpt.json`: what it is, what it was trained on, and how to turn outputs into labels."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...spaces.errors import WrongInput

NAME = "ulpt.json"


@dataclass(frozen=True)
class Card:
    """Everything about an export that its tensors do not say."""

    format: str
    trial: int
    method: str
    hyperparameters: Mapping[str, Any]
    seed: int
    trainable_parameters: int
    frozen_sha256: str
    """sha256 of what the seed regenerates; checked when a native adapter is loaded."""
    backbone: str
    """Folder or hub id of the frozen model at training time."""
    backbone_fingerprint: str
    family: str
    task: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    metric: str
    max_tokens: int
    label_tokens: tuple[int, ...] | None = None
    """Language models: the token that stands for each label. Encoders have `labels.safetensors` instead."""

    def write(self, folder: Path) -> None:
        """Write the card into an export's folder."""
        (folder / NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf8")

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Read the card of an export; `WrongInput` where the folder is none."""
        path = folder / NAME
        if not path.is_file():
            raise WrongInput(f"{folder}: not an exported adapter, there is no {NAME}; make one with ulpt-search export STUDY --out DIR")
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        frozen: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**frozen)


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export."""
    return (folder / NAME).is_file()
