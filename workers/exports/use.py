"""Using an exported adapter, whatever its format: labels for texts, and the score on a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from ...spaces.errors import WrongInput, reason
from ...spaces.identity import Difference, said
from ...spaces.metrics import metric as metric_called
from ...spaces.space import ModelSpec, TaskSpec
from ..catalogue import count, has_prefix, parts
from ..model.backbone import Backbone, load
from ..model.backbone import quiet as model_quiet
from ..model.fitting import fit_task
from ..model.former_scores import refuse_moved
from ..model.pack import Pack, build_parts
from ..model.quantised import bits_of
from ..model.readouts.encoding import Encoded, encode
from ..model.readouts.readout import ABSENT
from ..tasks import Conversation, Rows, Task, load_task
from ..training.provenance import known_as
from ..training.scoring import value
from ..training.worker import frozen_digest
from .card import Card
from .outputs import label_table, trained_reading, with_answers, with_choices, with_places
from .outside import check_adapter, check_files, elements_of, tensors_of
from .reading import label_scores
from .stock_process import class_scores, run, sentence_scores, stock_model
from .writing import Asked, answers, conversations_of, measured

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Predictor:
    """An exported adapter, loaded. Call it with texts, or pairs of texts, for what its task asks of each: a label, labels or a number."""

    folder: Path
    card: Card
    backbone: Backbone
    model: nn.Module | None
    """The stock model of a peft or merged export; None for a native one, which runs as `pack`."""
    pack: Pack | None

    def __call__(self, texts: Sequence[Asked], choices: Sequence[Sequence[str]] = ()) -> list[dict[str, Any]]:
        """Return `{text, label, probability}` for each text; of a multiple-choice task, whose texts come with `choices`, one of these.

        Of a regression `{text, number}`; of any number of labels a text `{text, labels, probabilities}`, with those that are likelier than
        not; of a task of written answers `{text, answer}` for each question or conversation. Raises `WrongInput` where choices are missing
        or not asked for, where pairs are read and texts come alone, and for one text in the place of a list.
        """
        if isinstance(texts, str):
            raise WrongInput(f"{self.folder}: got one text, wanted a list of texts: predict([text])")
        if self.card.own_choices != bool(choices) or (choices and len(choices) != len(texts)):
            wanted = f"{len(texts)} lists of choices, one a text" if self.card.own_choices else "no choices: its labels are its task's"
            raise WrongInput(f"{self.folder}: got {len(choices)} lists of choices, wanted {wanted}")
        if self.card.writes:
            talks = conversations_of(texts, self.folder)
            return [{"text": talk.question, "answer": answer} for talk, answer in zip(talks, self.answers(talks), strict=True)]
        pairs = [_pair(text, self.folder) for text in texts]
        own = tuple(tuple(texts) for texts in choices)
        rows = Rows(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), (0,) * len(pairs), choices=own)
        if self.card.answers.apart and None in rows.texts_b:
            raise WrongInput(f"{self.folder}: compares two texts; give pairs, on the command line with --pairs")
        scores = self.scores(rows)
        if self.card.answers.kind == "regression":
            return [{"text": text, "number": round(number, 4)} for text, number in zip(texts, scores[:, 0].tolist(), strict=True)]
        if self.card.answers.kind == "multi_label":
            return [_labelled(text, self.card.labels, row) for text, row in zip(texts, scores.sigmoid().tolist(), strict=True)]
        chances = scores.softmax(-1)
        best = chances.max(-1)
        named = zip(texts, best.indices.tolist(), best.values.tolist(), strict=True)
        labels = own or (self.card.labels,) * len(texts)
        return [
            {"text": text, "label": names[index], "probability": round(value, 4)}
            for names, (text, index, value) in zip(labels, named, strict=True)
        ]

    def answers(self, talks: Sequence[Conversation]) -> list[str]:
        """What it writes behind conversations, up to their last answers where they have one."""
        return list(answers(self.backbone, self.card, self.model, self.pack, talks))

    def losses(self, rows: Rows) -> Tensor:
        """What the tokens of rows' right answers lose, and their number, (rows, 2)."""
        data = encode(self.backbone, rows, max_tokens=self.card.max_tokens, template=self.card.template)
        assert data.answers is not None, "rows of such a task have answers"
        return torch.cat([-self._of(data), torch.from_numpy(data.answers.counts)[:, None]], 1)

    def scores(self, rows: Rows) -> Tensor:
        """Label scores (rows, labels), of written answers the right one's log-likelihood (rows, 1).

        Raises `WrongInput` where an export of version 0.1.0 meant others of such texts.
        """
        if self.card.identity is None:
            self._require_reading_of_then(rows)
        data = encode(self.backbone, rows, max_tokens=self.card.max_tokens, template=self.card.template)
        return self._of(data)

    def _of(self, data: Encoded) -> Tensor:
        pieces, count, start = list[Tensor](), len(data.targets), 0
        while start < count:
            rows = range(start, min(start + ROWS_AT_ONCE, count))
            if data.answers is not None:
                rows = rows[: data.answers.first(rows, each=self.backbone.shape.vocabulary, device="cpu")]
            pieces.append(self._batch(data, rows))
            start = rows.stop
        return torch.cat(pieces)

    def _require_reading_of_then(self, rows: Rows) -> None:
        card, prefixes = self.card, has_prefix(self.card.method)
        asked = Task(card.task, "classification", card.labels, card.descriptions, card.metric, rows, rows, rows, digest="")
        refuse_moved(f"{self.folder}", self.backbone, asked, max_tokens=card.max_tokens, prefixes=prefixes)

    @torch.no_grad()
    def _batch(self, data: Encoded, rows: range) -> Tensor:
        pad = int(self.backbone.tokenizer.pad_token_id or 0)
        ids, lengths, _ = data.batch(rows, pad=pad, device=torch.device("cpu"))
        inputs = {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}
        types = data.batch_types(rows, device=torch.device("cpu"))
        if types is not None and not (self.model is not None and bool((types == 0).all())):  # PEFT warns of types that say nothing
            inputs["token_type_ids"] = types
        if self.card.label_sequences is not None:
            inputs["labels"] = label_table(self.card.label_sequences)
        if self.card.own_choices:
            inputs = with_choices(inputs, data, rows, self.card)
        if self.card.writes:
            inputs = with_answers(inputs, data, rows)
        inputs = with_places(self.backbone, inputs)
        if self.pack is not None:
            found = trained_reading(self.backbone, self.pack, inputs)
        else:
            with torch.sparse.check_sparse_tensor_invariants():  # PEFT's SHIRA leaves the choice to torch, which warns
                found = self._stock_reading(inputs)
        scores = label_scores(found, self.card, self.folder)
        return scores.masked_fill((inputs["choices"] < 0).all(-1), ABSENT) if self.card.own_choices else scores

    def _stock_reading(self, inputs: dict[str, Tensor]) -> Tensor:
        """What the stock model's labels are read from; with a head, their scores."""
        model, card = self.model or self.backbone.model, self.card
        if card.pooling is None:
            return run(model, inputs, card.kind)
        if card.format == "merged" and not card.classifies:
            return sentence_scores(model, self.folder, inputs, card.pooling)
        return class_scores(model, inputs)


def _labelled(text: Asked, labels: Sequence[str], chances: Sequence[float]) -> dict[str, Any]:
    """The labels that are likelier than not, the task's order, with the chances of all."""
    named = dict(zip(labels, chances, strict=True))
    likely = [label for label, chance in named.items() if chance > 0.5]
    return {"text": text, "labels": likely, "probabilities": {label: round(chance, 4) for label, chance in named.items()}}


def load_export(folder: str | Path, *, model: str | None = None, base: Backbone | None = None) -> Predictor:
    """Load an exported adapter of any format; `model` says where the frozen model is now, if it has moved; `base` is that, loaded.

    Raises `WrongInput` where the folder is none, or the frozen model is not the one it was trained on.
    """
    path = Path(folder)
    card = Card.read(path)
    check_files(path, card.files)
    backbone = base or base_of(card, path, model=model)
    stock = _stock(backbone, card, path) if card.format == "peft" else None
    return Predictor(path, card, backbone, stock, _native(backbone, card, path) if card.format == "native" else None)


def base_of(card: Card, folder: Path, *, model: str | None) -> Backbone:
    """Load what an export runs on, for what its task asks: its own folder where it is merged, else the frozen model it was trained on.

    Raises `WrongInput` where that is not found, or is another.
    """
    source = str(folder) if card.format == "merged" else model or _place(card, folder)
    loader = AutoModelForSequenceClassification if card.classifies else None
    spec = ModelSpec(source, dtype="float32", device="cpu", mask=card.mask, quantization=card.quantization)
    backbone = load(spec, loader=loader)
    told = "" if card.format == "merged" else other_model(card, backbone)
    if told:
        raise WrongInput(f"{folder}: was trained with {told}, in {source}; give the right --model")
    return replace(backbone, shape=replace(backbone.shape, labels=card.outputs, answers=card.answers))


def other_model(card: Card, backbone: Backbone) -> str:
    """Say in what a model differs from the one that an export was trained on; empty where it does not."""
    if card.identity is not None:
        return said(card.identity.frozen.differences(backbone.frozen))
    former = card.backbone_fingerprint
    return "" if known_as(ModelSpec(backbone.source), former) else str(Difference("weights", former[:12], str(backbone.frozen.weights)))


def _place(card: Card, folder: Path) -> str:
    if card.hub is not None:
        return card.backbone
    place = (folder.resolve() / card.backbone).resolve()
    if not place.is_dir():
        raise WrongInput(f"{folder}: its frozen model is not at {place}; say where it is with --model")
    return str(place)


def evaluate(folder: str | Path, spec: TaskSpec, *, split: str = "test", model: str | None = None) -> dict[str, Any]:
    """Return `{task, split, metric, score, rows}` of an exported adapter; `WrongInput` where the task has other labels."""
    predictor = load_export(folder, model=model)
    task = fit_task(load_task(spec), predictor.backbone, max_tokens=predictor.card.max_tokens)
    if task.kind != predictor.card.answers.kind and "multiple_choice" not in (task.kind, predictor.card.answers.kind):
        asked, known = (kind.replace("_", "-") for kind in (task.kind, predictor.card.answers.kind))
        raise WrongInput(f"evaluate: {task.name} is a {asked} task; the adapter is of a {known} task")
    if task.labels != predictor.card.labels:
        raise WrongInput(f"evaluate: {task.name} has labels {', '.join(task.labels)}; the adapter knows {', '.join(predictor.card.labels)}")
    rows: Rows = getattr(task, split)
    if task.kind == "generation":
        return {"task": task.name, "split": split, **_evaluated(predictor, task, rows), "rows": len(rows)}
    targets = rows.targets(task.kind, len(task.labels))
    found = value(task.metric, predictor.scores(rows).numpy(), targets, classes=len(task.labels))
    return {"task": task.name, "split": split, "metric": task.metric, "score": found, "rows": len(rows.labels)}


def _evaluated(predictor: Predictor, task: Task, rows: Rows) -> dict[str, Any]:
    """The task's metrics of its answers: `metric` and `score` of the first, further ones beside them."""
    metrics = [metric_called(name) for name in (task.metric, *task.metrics)]
    texts = predictor.answers(rows.conversations) if any(one.decodes for one in metrics) else []
    losses = predictor.losses(rows).double().numpy() if not all(one.decodes for one in metrics) else np.zeros((0, 2))
    first, *others = (measured(one, rows, texts, losses) for one in metrics)
    return {"metric": task.metric, "score": first, **({"others": dict(zip(task.metrics, others, strict=True))} if others else {})}


def _pair(text: Asked, where: object) -> tuple[str, str | None]:
    if isinstance(text, Conversation):
        raise WrongInput(f"{where}: got a conversation, wanted texts: this adapter gives labels")
    return (text, None) if isinstance(text, str) else text


def _stock(backbone: Backbone, card: Card, folder: Path) -> nn.Module:
    from peft import PeftModel

    from .stock import quiet

    check_adapter(folder)
    with quiet():
        base = backbone.model if card.pooling is None else _classes(backbone, card)
        try:
            return PeftModel.from_pretrained(base, str(folder)).eval()
        except (ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
            raise WrongInput(f"{folder}: PEFT cannot load it: {reason(error)}; get the export again") from error


def _classes(backbone: Backbone, card: Card) -> Any:
    """The frozen model as its own class for classification, whose layer the adapter's folder holds."""
    with model_quiet():
        bits = bits_of(card.quantization)
        return stock_model(backbone.source, backbone.family, classifies=True, labels=card.outputs, bits=bits)


def _native(backbone: Backbone, card: Card, folder: Path) -> Pack:
    path, wanted = folder / "adapter.safetensors", count(card.method, card.hyperparameters, backbone.shape)
    held = elements_of(path)
    if not card.trainable_parameters == wanted == held:
        said = f"the card says {card.trainable_parameters:,}, its {card.method} has {wanted:,}"
        raise WrongInput(f"{path}: holds {held:,} numbers; {said}; get the export again")
    built = build_parts(0, parts(card.method, card.hyperparameters), backbone.shape, card.seed)
    if frozen_digest(built) != card.frozen_sha256:
        raise WrongInput(
            f"{folder}: seed {card.seed} does not regenerate the frozen tensors it was trained with; use the torch it was made with"
        )
    pack, tensors = Pack([built], device=backbone.device), tensors_of(path)
    expected = pack.of_trial(pack.flat, 0)
    odd = sorted({(name, tuple(t.shape)) for name, t in expected.items()} ^ {(name, tuple(t.shape)) for name, t in tensors.items()})
    if odd:
        raise WrongInput(f"{path}: tensor {odd[0][0]} of shape {odd[0][1]} is missing or not of this {card.method}; get the export again")
    pack.set_trial(pack.flat, 0, tensors)
    return pack
