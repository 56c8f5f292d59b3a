"""Which formats hold a configuration exactly, on this model and for this task: the one place that says so, on paper.

What PEFT's prompts and prefixes do differently from what was trained stands here as a rule each; `tests/test_forms.py` lets stock PEFT
compute it for every family.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from ...spaces.axes import Hyperparameters
from ...spaces.shape import Shape
from ...spaces.space import BITS
from ..catalogue import parts
from ..configurable import file_name
from ..method import Biases, Dense, KeysValues, LinearEffect, LowRank, Method, NormEffect, Pooled, SoftPrompt, Sparse, Spectral
from ..tasks import Task

STYLES = ("peft", "merged", "native")
"""Every format, the one that most programs load first."""


@dataclass(frozen=True)
class Reading:
    """How a task's texts reach the model, as far as it decides what an export can hold."""

    tokens: int = 0
    """Of the longest text."""
    typed: bool = False
    """Whether token types tell a pair's texts apart."""


def reading_of(task: Task, shape: Shape, *, max_tokens: int, tokenizer: Callable[[], PreTrainedTokenizerBase]) -> Reading:
    """Return how a task's texts reach a model; its tokenizer is asked for only where that matters."""
    splits = (task.train, task.validation, task.test)
    pairs = shape.handling.segments and not shape.answers.apart and any(second is not None for rows in splits for second in rows.texts_b)
    limit = max_tokens if shape.positions is None else min(max_tokens, shape.positions)
    return Reading(limit, pairs and "token_type_ids" in tokenizer().model_input_names)


@dataclass(frozen=True)
class Forms:
    """The formats of one configuration."""

    exact: tuple[str, ...]
    missing: Mapping[str, str]
    """Format -> why it would not compute what was trained."""
    local: frozenset[str] = frozenset()
    """Formats that are missing because of this model or task, not of the method."""

    @property
    def best(self) -> str:
        """The one that most programs load."""
        return next(style for style in STYLES if style in self.exact)

    def why_not(self, style: str) -> str:
        """Why a format is missing, and which to take."""
        return f"{self.missing[style]}; take {' or '.join(self.exact)}"


def forms_of(method: str, hyperparameters: Hyperparameters, shape: Shape, reading: Reading) -> Forms:
    """Return the formats that hold a configuration of the catalogue exactly on a model of this shape, for a task read like this."""
    return forms(parts(method, hyperparameters), shape, reading)


def forms(methods: Sequence[Method], shape: Shape, reading: Reading) -> Forms:
    """Return the formats that hold a configuration exactly on a model of this shape; native always does."""
    ours, here = dict(_of_methods(methods)), dict(_of_model(methods, shape, reading))
    missing = {**here, **ours}
    return Forms(tuple(style for style in ("native", "peft", "merged") if style not in missing), missing, frozenset(here) - set(ours))


def _of_methods(methods: Sequence[Method]) -> Iterator[tuple[str, str]]:
    """What no model changes."""
    names = {file_name(type(method)): method.exports for method in methods}
    others = [method for method in methods if not isinstance(method, Pooled)]
    if len(others) > 1:
        yield "peft", f"PEFT holds one method an adapter, not {' and '.join(names)}"
    for style in ("peft", "merged"):
        asked = others if style == "peft" and others else methods  # a head goes with PEFT's adapter of another method
        without = next((name for name in (file_name(type(method)) for method in asked) if style not in names[name]), None)
        if without is not None:
            yield style, f"{without} {_CANNOT[style]}"


_CANNOT = {"peft": "is nothing that PEFT computes", "merged": "cannot be folded into weights"}


def _of_model(methods: Sequence[Method], shape: Shape, reading: Reading) -> Iterator[tuple[str, str]]:
    """What this model, or this task, makes of PEFT's prompts and prefixes; the first reason counts."""
    if shape.handling.quantization != "none":
        yield from _of_few_bits(methods, BITS[shape.handling.quantization])
    for method in methods:
        if isinstance(method, SoftPrompt | KeysValues):
            reasons = _prompt(shape, reading) if isinstance(method, SoftPrompt) else _prefix(method, shape, reading)
            yield from (("peft", reason) for reason in list(reasons)[:1])
        if isinstance(method, LORAS) and not isinstance(method, Spectral) and _taken_for_experts(shape, method):
            yield "peft", "PEFT takes the gate, up and down of a mixture of experts for those of the experts"
        if isinstance(method, Spectral) and any(site.share for site in method.sites(shape)):
            yield "peft", "PEFT draws waves for a fused linear as a whole, not for the roles that it holds"
        if isinstance(method, Pooled):
            yield from _head(method, methods, shape)


def _of_few_bits(methods: Sequence[Method], bits: int) -> Iterator[tuple[str, str]]:
    """What weights in a few bits keep from being exact."""
    yield "merged", f"weights in {bits} bits hold no change exactly; merged into others, it would be another model"
    if not all(isinstance(method, SoftPrompt | KeysValues | LowRank | NormEffect | Pooled) for method in methods) or any(
        getattr(method, "dora", False) for method in methods
    ):
        yield "peft", f"on weights in {bits} bits, PEFT's prompts, prefixes, norms and LORA are what is proven"


LORAS = (LowRank, Dense, Sparse, Biases)
"""What leaves as PEFT's LORA, or may."""


def _taken_for_experts(shape: Shape, method: LinearEffect) -> bool:
    """Whether a method touches shared experts, or layers without experts, by names that PEFT rewrites where experts are one tensor."""
    fused = any("experts." in name for name in shape.apart)
    return fused and any(site.name.endswith(("gate_proj", "up_proj", "down_proj")) for site in method.sites(shape))


def _head(method: Pooled, methods: Sequence[Method], shape: Shape) -> Iterator[tuple[str, str]]:
    """A head is exact in a stock class that has one linear map where it reads, and over sentence-transformers' poolings."""
    how, kind = method.place(shape), shape.handling.classifies
    reason = _NO_CLASS
    if shape.answers.apart:
        yield from ((style, "stock classes read a pair as one text, and this head each text by itself") for style in STYLES[:2])
        return
    if shape.family == "decoder" and kind == "score" and how == "last":
        reason = _of_score(method, shape)
    elif shape.family == "encoder" and kind == "pooler" and how == "pooler":
        reason = ""
    if shape.handling.masked:
        yield from (
            (style, "the head has read texts with a mask behind them, which stock classes do not put there") for style in STYLES[:2]
        )
    elif any(isinstance(other, SoftPrompt | KeysValues) for other in methods):
        yield "peft", "PEFT's prompts and prefixes move the place that its classes for classification read"
    elif reason:
        yield "peft", reason
    if reason and not shape.handling.masked and (shape.family != "encoder" or how == "pooler"):
        yield "merged", reason


def _of_score(method: Pooled, shape: Shape) -> str:
    """Why a class whose one linear map has no bias does not hold a head; empty where it does."""
    if shape.answers.kind == "regression":
        return "this model's class for classification has no bias, and the mean of the numbers is one"
    biased = getattr(method, "bias", True)  # of a head that does not say, nothing is promised
    return "this model's class for classification has no bias; with head.bias: false it holds the head" if biased else ""


_NO_CLASS = "this model's class for classification is not one linear map where this head reads"


def _prompt(shape: Shape, reading: Reading) -> Iterator[str]:
    if shape.handling.segments and reading.typed:
        yield _TYPES
    if shape.handling.scales:
        yield "this model multiplies the embeddings of its own tokens, which PEFT hands over as they stand in the table"


_TYPES = "PEFT drops the token types that tell a pair's texts apart"


def _prefix(method: KeysValues, shape: Shape, reading: Reading) -> Iterator[str]:
    handling, window = shape.handling, shape.handling.window
    if not fills(shape, method):
        sites = method.sites(shape)
        yield f"PEFT cannot limit a prefix to {len(sites)} of {len(shape.attentions)} attentions"
    if not handling.cached:
        yield "this model takes no keys and values from outside, so PEFT has no way to put a prefix there"
    if handling.counted:
        yield "behind PEFT's prefix this model's decoder would begin at a later position"
    if shape.handling.segments and reading.typed:
        yield _TYPES
    if window is not None and method.length + reading.tokens > window:
        seen = f"{method.length} of the prefix and {reading.tokens} of the text"
        yield f"PEFT's prefix leaves this model's window of {window} tokens, which {seen} do not fit"


def fills(shape: Shape, method: KeysValues) -> bool:
    """Whether a method touches just the attentions that PREFIX_TUNING does: all, of one size; in an encoder-decoder the decoder's."""
    decoder = {linear.layer for linear in shape.linears if linear.role.startswith("cross_")}
    filled = tuple(site for site in shape.attentions if not decoder or site.layer in decoder)
    return method.sites(shape) == filled and len({(site.kv_heads, site.head_dim) for site in filled}) == 1
