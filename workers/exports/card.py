"""The card of an exported adapter, `ulpt.json`: what it is, what it was trained on, and how to turn outputs into labels."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...spaces.errors import WrongInput
from ...spaces.identity import Identity
from ...spaces.shape import Answers, Family
from ...spaces.space import Quantization
from ..model.decoding import Limits
from .evidence import Evidence
from .kept import Kept

NAME = "ulpt.json"
MINILM = ("sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f207416be6d2e6f8de32d1f16199bf")
"""Where the embedded model was published, and the commit with the same weights."""
LABELS = "labels.safetensors"


@dataclass(frozen=True)
class Card:
    """Everything about an export that its tensors do not say."""

    format: Literal["native", "peft", "merged"]
    trial: int
    method: str
    hyperparameters: Mapping[str, Any]
    seed: int
    trainable_parameters: int
    frozen_sha256: str
    """sha256 of what the seed regenerates; checked when a native adapter is loaded."""
    backbone: str
    """The frozen model: `minilm`, a hub id, or a path relative to the export's folder, which begins with a dot."""
    backbone_fingerprint: str
    family: Family
    task: str
    labels: tuple[str, ...]
    descriptions: tuple[str, ...]
    metric: str
    max_tokens: int
    label_tokens: tuple[int, ...] | None = None
    """Language models: the token that stands for each label. Encoders have `labels.safetensors` instead."""
    label_sequences: tuple[tuple[int, ...], ...] | None = None
    """Language models whose labels are scored by all of their tokens: these, instead of `label_tokens`."""
    scoring: Literal["first", "sum", "mean"] = "first"
    """Of a label's tokens, what makes its score: the first one's logit, the sum or the mean of their log-likelihoods."""
    numbers: tuple[float, ...] | None = None
    """Language models whose labels are numbers: those that `label_sequences` write, of which the expected one is the answer."""
    prior: tuple[float, ...] | None = None
    """What is taken off each label's score: the frozen model's without a text."""
    mask: str | None = None
    """Encoders read as masked language models: what stands behind a text, with `{mask}` in it."""
    mask_words: tuple[tuple[int, ...], ...] | None = None
    """The tokens of each label word there; of several, the mean logit counts."""
    template: str = "auto"
    """Of written answers, how conversations become text."""
    new_tokens: int | None = None
    """How many tokens a written answer has at most; None where answers are labels."""
    stops: tuple[int, ...] = ()
    """The tokens that end one."""
    stop_texts: tuple[str, ...] = ()
    """Texts that do."""
    own_choices: bool = False
    """Whether each row brings its own choices, of which `scoring` makes scores."""
    pooling: str | None = None
    """Where a trial with a head of its own reads hidden states; None where the task's readout is used."""
    answers: Answers = field(default_factory=Answers)
    """What the task asks: its kind, the units of its numbers, and whether a pair's texts are read each by itself."""
    ends: tuple[float, float] | None = None
    """Numbers off the cosine of a pair: those that cosines of 0 and 1 stand for."""
    revision: str | None = None
    """The commit of a frozen model from the hub."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> sha256 of every file that the export wrote beside this card."""
    evidence: Evidence | None = None
    """What `verify` compares with; None in exports of earlier versions."""
    adapter: str | None = None
    """sha256 of the trial's state in the store; None in exports of earlier versions, as the next two."""
    step: int | None = None
    identity: Identity | None = None
    """What the adapter was trained on."""

    part: bool = False
    """Whether the frozen model is the text part of a multimodal one."""
    quantization: Quantization = "none"
    """How the frozen model's linears are kept."""
    holds_bits: bool = False
    """Whether its own files hold those few bits, so that nobody makes them."""
    kept: Kept | None = None
    """Of a merged export, what the frozen model left in it; None in others, and in exports of earlier versions."""

    @property
    def kind(self) -> str:
        """By which class its model is loaded, and where it is read: its family, or masked."""
        return self.family if self.mask is None else "masked"

    @property
    def outputs(self) -> int:
        """How many numbers a head gives: as many as labels, or the one that is asked for."""
        return 1 if self.answers.kind == "regression" else len(self.labels)

    @property
    def writes(self) -> bool:
        """Whether its answers are texts of its own."""
        return self.new_tokens is not None

    @property
    def limits(self) -> Limits:
        """Where a written answer ends."""
        return Limits(self.new_tokens or 0, frozenset(self.stops), self.stop_texts)

    @property
    def classifies(self) -> bool:
        """Whether it is a stock …ForSequenceClassification; a head over an encoder's other poolings is sentence-transformers'."""
        return self.format == "merged" and self.pooling is not None and not (self.family == "encoder" and self.pooling != "pooler")

    @property
    def is_class(self) -> bool:
        """Whether stock libraries load it as the family's class for classification."""
        return self.classifies or (self.format == "peft" and self.pooling is not None)

    @property
    def hub(self) -> str | None:
        """The frozen model's id on the hub; None for a folder."""
        return None if self.backbone.startswith(".") else MINILM[0] if self.backbone == "minilm" else self.backbone

    @property
    def base_name(self) -> str:
        """The frozen model for people."""
        return self.backbone if self.hub is None else self.hub if self.revision is None else f"{self.hub} at {self.revision[:12]}"

    def write(self, folder: Path) -> None:
        """Write the card into an export's folder."""
        (folder / NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf8")

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """Read the card of an export; `WrongInput` where the folder is none."""
        path = folder / NAME
        if not path.is_file():
            raise WrongInput(f"{folder}: not an exported adapter, there is no {NAME}; make one with ulpt-search export STUDY --out DIR")
        from pydantic import TypeAdapter, ValidationError  # reading a card is all that needs it here

        try:
            values = json.loads(path.read_text(encoding="utf8"))
            card = TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise WrongInput(
                f"{path}: {where}: {first['msg']}, got {_short(first['input'])}; not a card that this version reads"
            ) from error
        except (ValueError, OSError) as error:
            raise WrongInput(f"{path}: not readable as a card: {error}; get the export again") from error
        return card


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export."""
    return (folder / NAME).is_file()


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
