"""Using an exported adapter, whatever its format: labels for texts, and the score on a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ...spaces.errors import WrongInput
from ...spaces.space import ModelSpec, TaskSpec
from ..catalogue import parts
from ..model.backbone import Backbone, load
from ..model.pack import Pack, build_parts
from ..model.verbalizer import TEMPERATURE, Encoded, encode, pooled
from ..tasks import Rows, load_task
from ..training.scoring import score
from ..training.worker import frozen_digest
from . import scorer
from .card import Card
from .outputs import run_model, trained_outputs

ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Predictor:
    """An exported adapter, loaded. Call it with texts, or pairs of texts, for a label and its probability each."""

    folder: Path
    card: Card
    backbone: Backbone
    model: nn.Module | None
    """The stock model of a peft or merged export; None for a native one, which runs as `pack`."""
    pack: Pack | None

    def __call__(self, texts: Sequence[str | tuple[str, str]]) -> list[dict[str, Any]]:
        """Return `{text, label, probability}` for each text."""
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        rows = Rows(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), (0,) * len(pairs))
        chances = self.scores(rows).softmax(-1)
        best = chances.max(-1)
        named = zip(texts, best.indices.tolist(), best.values.tolist(), strict=True)
        return [{"text": text, "label": self.card.labels[index], "probability": round(value, 4)} for text, index, value in named]

    def scores(self, rows: Rows) -> Tensor:
        """Label scores (rows, labels)."""
        data = encode(self.backbone, rows, max_tokens=self.card.max_tokens)
        starts = range(0, len(data.ids), ROWS_AT_ONCE)
        return torch.cat([self._batch(data, range(start, min(start + ROWS_AT_ONCE, len(data.ids)))) for start in starts])

    @torch.no_grad()
    def _batch(self, data: Encoded, rows: range) -> Tensor:
        pad = int(self.backbone.tokenizer.pad_token_id or 0)
        ids, lengths, _ = data.batch(rows, pad=pad, device=torch.device("cpu"))
        inputs = {"input_ids": ids, "attention_mask": (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()}
        if self.pack is not None:
            outputs = trained_outputs(self.backbone, self.pack, inputs)
        else:
            with torch.sparse.check_sparse_tensor_invariants():  # PEFT's SHIRA leaves the choice to torch, which warns
                outputs = run_model(self.model or self.backbone.model, inputs)
        return self._read(outputs, lengths, text=ids.shape[1])

    def _read(self, outputs: Tensor, lengths: Tensor, *, text: int) -> Tensor:
        if self.card.family == "encoder":
            fronts = torch.full_like(lengths, outputs.shape[1] - text)
            labels = safetensors.torch.load_file(self.folder / scorer.LABELS)["labels"]
            return pooled(outputs, fronts=fronts, lengths=lengths) @ labels.T / TEMPERATURE
        words = torch.tensor(self.card.label_tokens)
        last = lengths - 1 + outputs.shape[1] - text if self.card.family == "decoder" else torch.zeros_like(lengths)
        return outputs[torch.arange(len(outputs)), last][:, words]


def load_export(folder: str | Path, *, model: str | None = None) -> Predictor:
    """Load an exported adapter of any format; `model` says where the frozen model is now, if it has moved.

    Raises `WrongInput` where the folder is none, or the frozen model is not the one it was trained on.
    """
    path = Path(folder)
    card = Card.read(path)
    source = str(path) if card.format == "merged" else model or card.backbone
    backbone = load(ModelSpec(source, dtype="float32", device="cpu"))
    if card.format != "merged" and backbone.fingerprint != card.backbone_fingerprint:
        raise WrongInput(
            f"{path}: trained on weights {card.backbone_fingerprint[:12]}, {source} has {backbone.fingerprint[:12]}; give the right --model"
        )
    stock = _stock(backbone, path) if card.format == "peft" else None
    return Predictor(path, card, backbone, stock, _native(backbone, card, path) if card.format == "native" else None)


def evaluate(folder: str | Path, spec: TaskSpec, *, split: str = "test", model: str | None = None) -> dict[str, Any]:
    """Return `{task, split, metric, score, rows}` of an exported adapter; `WrongInput` where the task has other labels."""
    predictor, task = load_export(folder, model=model), load_task(spec)
    if task.labels != predictor.card.labels:
        raise WrongInput(f"evaluate: {task.name} has labels {', '.join(task.labels)}; the adapter knows {', '.join(predictor.card.labels)}")
    rows: Rows = getattr(task, split)
    value = score(task.metric, predictor.scores(rows).argmax(-1).tolist(), rows.labels, classes=len(task.labels))
    return {"task": task.name, "split": split, "metric": task.metric, "score": value.value, "rows": len(rows.labels)}


def _stock(backbone: Backbone, folder: Path) -> nn.Module:
    from peft import PeftModel

    from .stock import quiet

    with quiet():
        return PeftModel.from_pretrained(backbone.model, str(folder)).eval()


def _native(backbone: Backbone, card: Card, folder: Path) -> Pack:
    built = build_parts(0, parts(card.method, card.hyperparameters), backbone.shape, card.seed)
    if frozen_digest(built) != card.frozen_sha256:
        raise WrongInput(
            f"{folder}: seed {card.seed} does not regenerate the frozen tensors it was trained with; use the torch it was made with"
        )
    pack = Pack([built], device=backbone.device)
    pack.set_trial(pack.flat, 0, safetensors.torch.load_file(folder / "adapter.safetensors"))
    return pack
