"""The proof of an export, at any time: is it whole, on the right model, and does it still do what the trained adapter did?"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...spaces.errors import Failure, WrongInput
from ..method import Pooled
from ..model.backbone import Backbone
from ..model.readouts.encoding import encode
from ..training.trainer import bound_values
from . import heads, merged
from .card import Card
from .evidence import Evidence, digest_of, sketch
from .forms import Reading, forms
from .kept import Kept
from .outputs import asked
from .outside import check_adapter, check_files
from .reading import label_scores
from .reference import reference_outputs
from .reloading import Fresh
from .use import base_of, load_export, other_model


@dataclass(frozen=True)
class Check:
    """One step of the proof."""

    name: str
    fine: bool | None
    """None where it was not tried, since an earlier one failed."""
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What `verify --json` prints."""

    path: str
    format: str
    fine: bool
    checks: tuple[Check, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @property
    def failed(self) -> Check | None:
        """The check that failed."""
        return next((check for check in self.checks if check.fine is False), None)


def verify(folder: str | Path, *, model: str | None = None, fresh: Fresh | None = None, base: Backbone | None = None) -> Verdict:
    """Repeat an export's proof, wherever the folder is now; `model` says where the frozen model is, if it has moved.

    `fresh`, to share its processes among several; `base`, the frozen model of an export that is not merged, where it is loaded
    already; the proof of a native one may change it. Raises `WrongInput` where the folder is no export.
    """
    path = Path(folder).resolve()
    card = Card.read(path)
    with ExitStack() as stack:
        proof = _Proof(path, card, model, fresh or stack.enter_context(Fresh()), base)
        checks = tuple(_tried(proof))
    return Verdict(str(folder), card.format, all(check.fine for check in checks), checks, card.evidence.note if card.evidence else "")


def _tried(proof: "_Proof") -> Iterator[Check]:
    broken = False
    for name, check in proof.checks().items():
        if broken:
            yield Check(name, None, "not tried")
            continue
        try:
            yield Check(name, True, check())
        except (Failure, WrongInput) as error:
            broken = True
            yield Check(name, False, str(error))


@dataclass
class _Proof:
    """An export under examination; what is loaded is loaded once."""

    folder: Path
    card: Card
    model: str | None
    fresh: Fresh
    held: Backbone | None = None
    """The frozen model, where it is loaded already: of a large one, a second copy may not fit."""

    def checks(self) -> dict[str, Callable[[], str]]:
        """The steps in their order: each may rely on those before it."""
        steps = {"files": self.files, "base": self.base, "tokens": self.tokens, "outputs": self.outputs, "scores": self.scores}
        return steps | ({"independent": self.independent} if self.card.format == "native" else {})

    def files(self) -> str:
        """Every file is what the export wrote."""
        if self.card.evidence is None or not self.card.files:
            raise Failure("the card holds no evidence: it was written by an earlier version; export the adapter again")
        check_files(self.folder, self.card.files)
        if self.card.format == "peft":
            check_adapter(self.folder)
        return f"{len(self.card.files)} files are as they were written"

    def base(self) -> str:
        """The frozen model is the one that the adapter was trained on."""
        if self.card.format != "merged":
            if self.held is not None and (told := other_model(self.card, self.held)):
                raise WrongInput(f"{self.folder}: was trained with {told}")
            return f"frozen model {self._backbone.fingerprint[:12]}"
        if self.card.kept is None:
            return "frozen model in the folder; the card, of an earlier version, does not say which"
        model = self._backbone.model.base_model if self.card.classifies else self._backbone.model
        if Kept.of(model, self.card.kept.changed) != self.card.kept:
            raise Failure("the tensors that the adapter left alone are not those of the model that it was trained on")
        return f"frozen model in the folder, as it was but for {len(self.card.kept.changed)} tensors"

    def tokens(self) -> str:
        """The tokenizer makes the same tokens of the probe texts."""
        found = digest_of(self._encoded.ids)
        if found != self._evidence.tokens:
            raise Failure(f"the tokenizer makes other tokens of the probe texts: {found[:12]}, not {self._evidence.tokens[:12]}")
        return f"{len(self._evidence.texts)} texts of the task, {sum(self._encoded.lengths)} tokens"

    def outputs(self) -> str:
        """A fresh process that loads the export computes what the trained adapter did."""
        found = self._found
        base = None if self._base is None else sketch(self._base)
        return self._evidence.outputs.judge(sketch(found), base, what="outputs")

    def scores(self) -> str:
        """The label scores are those of the trained adapter."""
        base = None if self._base is None else label_scores(self._base, self.card, self.folder)
        return self._evidence.scores.judge(label_scores(self._found, self.card, self.folder), base, what="label scores")

    def independent(self) -> str:
        """A native adapter computes what something does that shares no code with training: its PEFT or merged form, or plain hooks."""
        predictor = load_export(self.folder, base=self._backbone)  # the last step, so it may be changed
        with _other_form(predictor.backbone, predictor.pack, self._inputs, self.fresh) as (how, found):
            return self._evidence.outputs.judge(
                sketch(found), sketch(self._base) if self._base is not None else None, what=f"{how}: outputs"
            )

    @property
    def _evidence(self) -> Evidence:
        assert self.card.evidence is not None, "checked with the files"
        return self.card.evidence

    @cached_property
    def _backbone(self) -> Backbone:
        return self.held or base_of(self.card, self.folder, model=self.model)

    @cached_property
    def _encoded(self) -> Any:
        return encode(self._backbone, self._evidence.rows, max_tokens=self.card.max_tokens, template=self.card.template)

    @cached_property
    def _inputs(self) -> dict[str, Tensor]:
        return asked(self._backbone, self._encoded, self.card)

    @cached_property
    def _answer(self) -> dict[str, Tensor]:
        return self.fresh.outputs(
            self.folder, self._backbone.source, self._inputs, quantization=self.card.quantization, style=f"{self.card.format}:{self._kind}"
        )

    @property
    def _kind(self) -> str:
        """Of which kind it is, and where a head of the trial's own reads, for how many labels."""
        card = self.card
        return card.kind if card.pooling is None or card.format == "native" else f"{card.kind}:{card.pooling}:{card.outputs}"

    @property
    def _found(self) -> Tensor:
        return self._answer["outputs"]

    @cached_property
    def _base(self) -> Tensor | None:
        """The frozen model's own outputs; None for a merged export, which no longer needs it, and for a head's scores, which it lacks."""
        if self.card.format == "merged" or self.card.pooling is not None:
            return None
        if "base" in self._answer:
            return self._answer["base"]
        return self.fresh.outputs(
            self.folder, self._backbone.source, self._inputs, quantization=self.card.quantization, style=f"base:{self.card.kind}"
        )["outputs"]


@contextmanager
def _other_form(backbone: Backbone, pack: Any, inputs: dict[str, Tensor], fresh: Fresh) -> Iterator[tuple[str, Tensor]]:
    """How else a native adapter was computed, and its outputs where labels are read. Changes `backbone` where it is merged."""
    methods = [group.method for group in pack.groups]
    values = [{name: value[0].detach() for name, value in bound.items()} for bound in bound_values(pack)]
    reading = Reading(inputs["input_ids"].shape[1], bool(inputs["token_type_ids"].any()) if "token_type_ids" in inputs else False)
    style = forms(methods, backbone.shape, reading).best
    if style == "native":
        yield "plain hooks", reference_outputs(backbone, list(zip(methods, values, strict=True)), inputs)
        return
    labels = [str(number) for number in range(backbone.shape.labels)]
    how = next((f":{method.place(backbone.shape)}:{len(labels)}" for method in methods if isinstance(method, Pooled)), "")
    with tempfile.TemporaryDirectory() as room:
        if style == "peft":
            heads.write_peft(backbone, pack, Path(room), labels)
        else:
            merged.fold(backbone, pack)
            heads.write_merged(backbone, pack, Path(room), labels=labels, max_tokens=len(inputs["input_ids"][0]), dtype=torch.float32)
        yield (
            f"{style} form",
            fresh.outputs(Path(room), backbone.source, inputs, quantization=backbone.quantization, style=f"{style}:{backbone.kind}{how}")[
                "outputs"
            ],
        )
