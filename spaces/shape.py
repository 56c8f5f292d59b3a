"""The shape of a frozen model: all that a parameter count or an adapter needs to know about it, as plain numbers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt
from typing import Literal

from .errors import WrongInput, did_you_mean
from .metrics import Kind
from .space import Quantization

FUSED = {"q": "qkv", "k": "qkv", "v": "qkv", "gate": "gate_up", "up": "gate_up", "cross_k": "cross_kv", "cross_v": "cross_kv"}
"""Role -> the linear that computes it together with others in some families; where it is not known which outputs are whose, it answers
to the name whole."""

Family = Literal["encoder", "decoder", "encoder-decoder"]
Rows = Callable[[Sequence[int]], list[list[float]]]
Words = Callable[[str], list[int]]


@dataclass(frozen=True)
class Share:
    """Which outputs of a fused linear are one role's: `count` runs of `length`, the first at `first`, `stride` from one to the next."""

    first: int
    length: int
    stride: int = 0
    count: int = 1

    @property
    def size(self) -> int:
        """Number of outputs."""
        return self.length * self.count

    def places(self) -> list[int]:
        """The outputs' numbers, in order."""
        starts = (self.first + run * self.stride for run in range(self.count))
        return [place for start in starts for place in range(start, start + self.length)]


@dataclass(frozen=True)
class Linear:
    """One frozen linear map `y = W x + b` inside a layer, `W` of (outputs, inputs)."""

    name: str
    """Full module name in the model, e.g. `encoder.layer.3.attention.self.query`."""
    layer: int
    role: str
    """Its place in the block: q, k, v, o, gate, up, down (cross_q … in a decoder that attends to an encoder)."""
    inputs: int
    outputs: int
    bias: bool
    rms: float = 0.02
    """Root mean square of `W`; where nothing was measured, what most families start from."""
    transposed: bool = False
    """Whether the model keeps `W` the other way round, as GPT-2's Conv1D does, which not every library takes."""
    share: Share | None = None
    """The outputs of the module that it is, where the module computes other roles' too; None: all of them."""
    parts: tuple["Linear", ...] = ()
    """What a fused linear holds, each a linear of its own; empty where it is not fused, or nobody knows how."""

    @property
    def key(self) -> str:
        """Short name, unique in the model: `layer.role`."""
        return f"{self.layer}.{self.role}"

    @property
    def scale(self) -> float:
        """Root mean square of `W x` for inputs of root mean square 1 that know nothing of W: rms·√in."""
        return self.rms * sqrt(self.inputs)


@dataclass(frozen=True)
class Norm:
    """One LayerNorm or RMSNorm; `layer` is -1 outside the blocks."""

    name: str
    layer: int
    role: str
    width: int
    bias: bool
    gain: float = 1.0
    """Root mean square of its learnt scale."""

    @property
    def key(self) -> str:
        """Short name, unique in the model."""
        return f"{self.layer}.{self.role}"


@dataclass(frozen=True)
class Attention:
    """One self-attention: `heads` query heads, `kv_heads` key heads of `head_dim` each."""

    name: str
    layer: int
    heads: int
    kv_heads: int
    head_dim: int
    keys: float = 1.0
    """Root mean square of the keys that its inputs get: as far as the weights say, for inputs of root mean square 1."""
    values: float = 1.0
    """The same of the values."""
    extends: bool = True
    """Whether keys and values can be put in front of its own; not where a family computes attention in a way of its own."""

    @property
    def kv(self) -> int:
        """Width of the keys (and of the values) of one token."""
        return self.kv_heads * self.head_dim

    @property
    def key(self) -> str:
        """Short name, unique in the model."""
        return f"{self.layer}.attention"


@dataclass(frozen=True)
class Handling:
    """What a model does with embeddings, keys and values that others hand it in place of token ids."""

    segments: bool = False
    """Whether it tells a pair's texts apart by token types."""
    scales: bool = False
    """Whether it multiplies the embeddings of token ids, but not those that it is given."""
    cached: bool = True
    """Whether its forward takes keys and values from outside, and its attentions need nothing else."""
    counted: bool = False
    """Encoder-decoders: whether keys and values in front move the decoder's positions."""
    window: int | None = None
    """Tokens that its narrowest attention looks back; None: to the start."""
    masked: bool = False
    """Whether it is an encoder that fills a mask behind the text, which is part of every text."""
    classifies: Literal["score", "pooler", ""] = ""
    """Its own …ForSequenceClassification: one linear map without a bias over the last token (score), one over BERT's pooler, or else."""
    quantization: Quantization = "none"
    """How its linears' weights are kept; few bits hold no change of theirs exactly."""


@dataclass(frozen=True)
class Answers:
    """What a task asks of a head, and whether anything else can answer it."""

    kind: Kind = "classification"
    units: tuple[float, float] = (0.0, 1.0)
    """Regression: mean and deviation of the training rows' numbers, in which a head counts."""
    apart: bool = False
    """Whether the two texts of a pair are read each by itself."""
    needs_head: str = ""
    """Why nothing but a head reads the task off this model; empty where its own readout does."""


@dataclass(frozen=True)
class Shape:
    """A frozen model as numbers. `layers` counts encoder blocks first, then decoder blocks."""

    family: Family
    width: int
    layers: int
    vocabulary: int
    embedding_rms: float
    """Root mean square of the token embedding table: the scale at which soft prompts start."""
    linears: tuple[Linear, ...]
    norms: tuple[Norm, ...]
    attentions: tuple[Attention, ...]
    positions: int | None = None
    """Tokens that the model has places for, virtual ones included; None: as many as one likes."""
    handling: Handling = Handling()
    hidden: int | None = None
    """Width of the hidden states that leave it, where that is not the embeddings'."""
    labels: int = 0
    """Numbers that a head gives: labels of the task, 1 of a regression; 0 where none is known."""
    answers: Answers = Answers()
    """What else the task asks of a head."""
    pooler: bool = False
    """Whether it holds a trained pooler, as BERT does: a layer over its first hidden state."""
    apart: tuple[str, ...] = ()
    """Weights of its blocks that no method touches, such as experts: tokens reach them in an order of their own."""
    rows: Rows | None = field(default=None, compare=False, repr=False)
    """Token embeddings of some ids, (ids, width), for prompts that start from words; None where no weights are loaded."""
    words: Words | None = field(default=None, compare=False, repr=False)
    """Token ids of a text, special ones included as the model's tokenizer puts them; None where none is loaded."""

    def linear(self, tensor: str) -> Linear:
        """Return the linear that a tensor called `layer.role/name` belongs to; `KeyError` where there is none."""
        return self._linears[_place(tensor)]

    def output(self, tensor: str) -> float:
        """Return how large the output is of the linear or norm that a tensor called `layer.role/name` belongs to: `scale`, `gain`."""
        place = _place(tensor)
        return self._gains[place] if place in self._gains else self._linears[place].scale

    def attention(self, tensor: str) -> Attention:
        """Return the attention that a tensor called `layer.attention/name` belongs to; `KeyError` where there is none."""
        return self._attentions[_place(tensor)]

    @cached_property
    def roles(self) -> dict[str, int]:
        """Role -> how many linears have it, parts of fused ones included: what `modules` may name."""
        found = [site.role for linear in self.linears for site in (*linear.parts, linear)]
        return {role: found.count(role) for role in dict.fromkeys(found)}

    @cached_property
    def state_length(self) -> float:
        """Length of a hidden state: √width times the gain of the last norm that it comes out of, 1 where there is none."""
        gains = [norm.gain for norm in self.norms if norm.width == self.state_width]
        return (gains[-1] if gains else 1.0) * sqrt(self.state_width)

    @property
    def state_width(self) -> int:
        """Width of a hidden state."""
        return self.hidden or self.width

    @cached_property
    def _linears(self) -> dict[str, Linear]:
        return {site.key: site for linear in self.linears for site in (linear, *linear.parts)}

    @cached_property
    def _gains(self) -> dict[str, float]:
        return {site.key: site.gain for site in self.norms}

    @cached_property
    def _attentions(self) -> dict[str, Attention]:
        return {site.key: site for site in self.attentions}

    def select(self, *, layers: str = "all", modules: str = "all") -> tuple[Linear, ...]:
        """Return the linears named by two axes.

        `layers` is `all`, `first:N`, `last:N` or a comma list of numbers; `modules` is `all` or a comma list of roles.
        A fraction of the depth is written as a percentage: `last:50%`. q, k and v of a fused `qkv` are their outputs of it; named as
        `qkv`, or by `all`, it is one linear. In an encoder-decoder q, k, v and o name the cross-attention's linears too; `self_q` and
        `cross_q` name one of the two.

        Raises `WrongInput` where the model lacks a named layer or role.
        """
        chosen = self.select_layers(layers)
        whole, roles = {linear.role for linear in self.linears}, sorted(self.roles)
        wanted = whole if modules == "all" else {role for name in _names(modules) for role in _roles(name, roles)}
        here = (linear for linear in self.linears if linear.layer in chosen)
        return tuple(site for linear in here for site in ((linear,) if linear.role in wanted else linear.parts) if site.role in wanted)

    def whole(self, sites: Iterable[Linear]) -> tuple[Linear, ...]:
        """Return the linears that are these, or that these are parts of, each once and in the model's order."""
        names = {site.name for site in sites}
        return tuple(linear for linear in self.linears if linear.name in names)

    def select_attentions(self, *, layers: str = "all") -> tuple[Attention, ...]:
        """Return the self-attentions of the layers that `layers` (see `select`) names and that take further keys and values.

        Raises `WrongInput` where there is none.
        """
        chosen = self.select_layers(layers)
        found = tuple(attention for attention in self.attentions if attention.layer in chosen and attention.extends)
        if not found:
            raise WrongInput(f"layers: this model has no self-attention with its own keys in layers {layers!r}; use a soft prompt or lora")
        return found

    def select_layers(self, layers: str) -> frozenset[int]:
        """Return the layer numbers that `layers` (see `select`) names."""
        if layers == "all":
            return frozenset(range(self.layers))
        end, _, count = layers.partition(":")
        if end in ("first", "last") and count.rstrip("%").isdigit():
            number = self._count(count)
            return frozenset(range(number) if end == "first" else range(self.layers - number, self.layers))
        if all(name.isdigit() for name in _names(layers)):
            return self._existing(int(name) for name in _names(layers))
        raise WrongInput(f"layers: {layers!r} is none of all, first:N, last:N, last:50%, or numbers such as 0,3")

    def _count(self, count: str) -> int:
        number = max(1, round(self.layers * int(count[:-1]) / 100)) if count.endswith("%") else int(count)
        if not 1 <= number <= self.layers:
            raise WrongInput(f"layers: {number} asked for, this model has {self.layers}")
        return number

    def _existing(self, numbers: Iterable[int]) -> frozenset[int]:
        chosen = frozenset(numbers)
        if max(chosen) >= self.layers:
            raise WrongInput(f"layers: there is no layer {max(chosen)}; this model has 0 to {self.layers - 1}")
        return chosen


def _place(tensor: str) -> str:
    """`layer.role` of `layer.role/name`."""
    return tensor.rpartition("/")[0]


def _roles(name: str, roles: Sequence[str]) -> list[str]:
    """The roles that a name in `modules` stands for; `WrongInput` where the model has none of them.

    A decoder that attends to an encoder has a second attention, which every paper's "q, k, v of all attentions" includes.
    """
    short = name.removeprefix("self_")
    meant = (short,) if short != name else (name, f"cross_{name}")
    found = [role for role in (one if one in roles else FUSED.get(one, one) for one in meant) if role in roles]
    if not found:
        raise WrongInput(f"modules: this model has no {name!r}; it has {', '.join(roles)}.{did_you_mean(name, roles)}")
    return found


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
