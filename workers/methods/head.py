"""Head: label scores straight from a pooled hidden state, in the place of the task's own readout.

    y = W h + c        h (d) pooled over the text, prompt and padding left out; W (C×d), c (C)
    y = U V h + c      of rank r: U (C×r), V (r×d), from V's directions, which all labels share

Of a number, y is in the deviation of the training rows' numbers from their mean. Of a pair whose texts are read each by itself, h is what
`features` make of the two texts' states (`maths/pairs.py`), and d how wide that is.

What `…ForSequenceClassification` puts on a model, and a linear probe where nothing else is trained; then the frozen states are
computed once a row. h is the mean of the text's hidden states in encoders, the last token's in decoders, and in encoder-decoders that
of the decoder's first position, the one place to which all of the model's sites lead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ..method import Named, Pooled, Tensors, hyperparameter, normal
from .maths.discriminant import discriminant
from .maths.logistic import logistic
from .maths.pairs import COSINE, FEATURES, features, kept_features, width_of
from .maths.ridge import ridge
from .maths.several_labels import one_by_one

SENSIBLE = {"encoder": "mean", "decoder": "last", "encoder-decoder": "first"}
SHARPNESS = 20.0
"""Scores of a start from descriptions, for states of mean length: the scale by which cosines are read, 1/0.05."""


@dataclass(frozen=True)
class Head(Pooled):
    """A linear map from pooled hidden states to label scores, or to a number."""

    exports: ClassVar[tuple[str, ...]] = ("native", "merged")
    formula: ClassVar[str] = "C·d [+ C with bias]; of rank r: r·(C + d) [+ C with bias]; of pairs apart by features; of a number C = 1"
    citation: ClassVar[str] = "Alain & Bengio 2016, arXiv 1610.01644 (linear probes)"
    published: ClassVar[str] = "none: a probe is fitted to its end"
    deviations: ClassVar[str] = "trained for the study's steps, from a solution in closed form or from a probe's"

    pooling: str = hyperparameter("auto", Choice(("auto",), also=("mean", "first", "last", "pooler")))
    rank: int = hyperparameter(0, Choice((0, 1, 2, 3, 4, 6, 8, 12, 16, 21, 32), also=None))
    """r; 0 for a W of its own."""
    init: str = hyperparameter("ridge", Choice(("zero", "descriptions", "ridge", "logistic")), structural=False)
    bias: bool = hyperparameter(True, Choice((True,), also=(False,)))
    features: str = hyperparameter(FEATURES[0], Choice(FEATURES[:1], also=FEATURES[1:]))
    """Of pairs read apart; elsewhere without effect, and nothing but the default is begun."""
    batch: int = hyperparameter(8, Choice((8, 32), also=None), structural=False)
    """Rows of a step, as a multiple of the recipe's batch, in a trial that trains nothing else; 1 for any that does."""
    lr: float = hyperparameter(0.03, Float(1e-3, 0.3, log=True), structural=False)

    @property
    def batches(self) -> int:
        """The recipe's batches in one step over kept states."""
        return self.batch

    def place(self, shape: Shape) -> str:
        """The pooling; `WrongInput` where this family or this model has no such place."""
        chosen = SENSIBLE[shape.family] if self.pooling == "auto" else self.pooling
        if shape.family == "encoder-decoder" and chosen != "first":
            raise WrongInput(f"head.pooling: {chosen} in an encoder-decoder would not see what its decoder does; use first or auto")
        if shape.family == "decoder" and chosen == "first":
            raise WrongInput("head.pooling: first in a decoder is a token that has seen no other; use last, mean or auto")
        if chosen == "pooler" and not shape.pooler:
            raise WrongInput("head.pooling: this model has no trained pooler; use first, mean or auto")
        return chosen

    def parameters(self, shape: Shape) -> int:
        """C·d or r·(C + d), and C with bias; d is the width of what the features make of a pair read apart."""
        kind, width = shape.answers.kind, self._inputs(shape)
        if shape.labels < (1 if kind == "regression" else 2):
            raise WrongInput(f"head: needs a task of two labels or more, got {shape.labels}; give one with a fixed set of labels")
        most = min(shape.labels, width) - 1
        if self.rank > most:
            what = "a single number" if kind == "regression" else f"{shape.labels} labels"
            way_out = f"use {most} or less, or 0 for W whole" if most else "use 0 for W whole"
            raise WrongInput(f"head.rank: {self.rank} is no less than W with {what}; {way_out}")
        if self.init == "descriptions" and (kind == "regression" or shape.answers.apart):
            what = "a number has none" if kind == "regression" else "of pairs read apart nothing is compared with them"
            raise WrongInput(f"head.init: descriptions are of labels, and {what}; use ridge or zero")
        if self.init == "logistic" and kind != "classification":
            raise WrongInput(f"head.init: logistic is of one label a row, and this task's answers are {kind.replace('_', '-')}; use ridge")
        self.place(shape)
        weights = self.rank * (shape.labels + width) if self.rank else shape.labels * width
        return weights + (shape.labels if self.bias else 0)

    def require_effect(self, shape: Shape) -> None:
        """Features are of pairs read apart."""
        if self.features != FEATURES[0] and not shape.answers.apart:
            raise WrongInput(
                f"head.features: {self.features} is of pairs whose texts are read each by itself, which this task's are not; "
                "set task.pairs: apart, or leave it out"
            )

    def _inputs(self, shape: Shape) -> int:
        """d."""
        return width_of(self.features, shape.state_width) if shape.answers.apart else shape.state_width

    def unit(self, name: str, shape: Shape) -> float:
        """W and V: one over the length of a hidden state, or of a cosine; U: 1/√r."""
        if shape.answers.apart and self.features == COSINE:
            return 1.0
        return {"W": 1 / shape.state_length, "V": 1 / shape.state_length, "U": 1 / sqrt(max(1, self.rank))}.get(name, 1.0)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """W = 0, or U = 0 and V ~ N(0, 1/|h|²), c = 0; then, by `init`, a ridge or logistic rule of training rows, or the descriptions."""
        bias, width, asked = {"c": torch.zeros(shape.labels)} if self.bias else {}, self._inputs(shape), shape.answers
        told = {"units": torch.tensor(asked.units)} if asked.kind == "regression" else {}
        told = {**told, "apart": torch.ones(())} if asked.apart else told
        if not self.rank:
            return Tensors({"W": torch.zeros(shape.labels, width), **bias}, told)
        directions = normal(self.rank, width, generator=generator, std=1 / shape.state_length)
        return Tensors({"U": torch.zeros(shape.labels, self.rank), "V": directions, **bias}, told)

    def start(self, shape: Shape, rows: Callable[[], tuple[Tensor, Tensor]], described: Callable[[], Tensor]) -> dict[str, Tensor]:
        """By `init`, the training rows' ridge discriminants, their logistic regression, or what the labels' descriptions say."""
        if self.init == "zero":
            return {}
        states, targets = rows()
        states = kept_features(states, self.features) if shape.answers.apart else states
        if self.init in ("ridge", "logistic"):
            weights, c = self._fitted(shape, states, targets)
        else:
            weights, c = _described(described(), states, rank=self.rank), torch.zeros(shape.labels)
        made = dict(zip(("U", "V") if self.rank else ("W",), weights, strict=True))
        return {**made, "c": c} if self.bias else made

    def _fitted(self, shape: Shape, states: Tensor, targets: Tensor) -> tuple[list[Tensor], Tensor]:
        """W, or U and V, and c in closed form, or where no step of a probe's fit helps any more."""
        if shape.answers.kind == "regression":
            w, c = ridge(states, targets, units=shape.answers.units, bias=self.bias)
            return [w], c
        if shape.answers.kind == "multi_label":
            return one_by_one(states, targets, rank=self.rank, bias=self.bias)
        rule = logistic if self.init == "logistic" else discriminant
        return rule(states, targets, labels=shape.labels, rank=self.rank, bias=self.bias)

    def scores(self, p: Named, h: Tensor) -> Tensor:
        """W h + c, or U V h + c; of a number the mean and so many deviations."""
        h = features(h, self.features) if "apart" in p else h
        y = self._mapped(p, h)
        return p["units"][0].to(h.dtype) + p["units"][1].to(h.dtype) * y if "units" in p else y

    def _mapped(self, p: Named, h: Tensor) -> Tensor:
        y = (h @ p["V"].mT.to(h.dtype)) @ p["U"].mT.to(h.dtype) if self.rank else h @ p["W"].mT.to(h.dtype)
        return y + p["c"].to(h.dtype) if self.bias else y


def _described(vectors: Tensor, states: Tensor, *, rank: int) -> list[Tensor]:
    """W, or U and V, for cosines between a state of mean length and each description, less what all labels share."""
    v, h = vectors.detach().to("cpu", torch.float64), states.detach().to("cpu", torch.float64)
    unit = v / v.norm(dim=1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)
    w = SHARPNESS / h.norm(dim=1).mean() * (unit - unit.mean(0))
    if not rank:
        return [w.float()]
    left, sizes, right = torch.linalg.svd(w, full_matrices=False)
    root = sizes[:rank].sqrt()
    return [(left[:, :rank] * root).float(), (root[:, None] * right[:rank]).float()]
