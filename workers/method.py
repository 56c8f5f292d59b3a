"""What a method is: typed hyperparameters with their own axes, a parameter count, initial tensors and an effect on the model.

A method's file holds one final, frozen dataclass that subclasses one of the abstract effects below and reads like its
paper's equation, written for ONE trial, with its `hyperparameter`s as fields. Packing (many trials at once), dtypes, devices,
rows, saving, counting and optimisation are done outside.

Tensors are named `name` when the whole model shares them and `layer.role/name` when they belong to one site; an effect sees
both under the plain `name`. A tensor `layer.role/weight` is one that is added to that linear's frozen weight.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..spaces.axes import Axis, Choice, Value
from ..spaces.shape import Attention, Linear, Norm, Shape
from .configurable import Configurable

Named = Mapping[str, Tensor]

POOLINGS = ("mean", "first", "last", "pooler")
LAYERS = Choice(("all", "last:50%", "last:1"))
MODULES = Choice(("q,v", "v", "down", "q,k,v,o", "all"))


@dataclass(frozen=True)
class Tensors:
    """A trial's tensors at step 0, all float32 on the CPU. `frozen` is regenerated from the seed, never stored."""

    trainable: dict[str, Tensor]
    frozen: dict[str, Tensor] = field(default_factory=dict)


def hyperparameter(default: Value, axis: Axis, *, structural: bool = True) -> Any:
    """A dataclass field with the axis it is searched on.

    Trials that differ only in non-structural fields are batched as one: `build` may read such a field (put it in `frozen`), no effect may.
    """
    return field(default=default, metadata={"axis": axis, "structural": structural})


@dataclass(frozen=True)
class Method(Configurable, ABC):
    """One parameter-efficient fine-tuning method with its hyperparameters filled in."""

    exports: ClassVar[tuple[str, ...]] = ("native",)
    packable: ClassVar[bool] = True
    consistency: ClassVar[bool] = False
    """Whether a trial's loss has the symmetric divergence between the answers of two passes, each with noise of its own."""
    citation: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    published: ClassVar[str] = ""
    """Learning rates of the paper or its code, and which of the two."""
    deviations: ClassVar[str] = ""
    """Where this differs from the paper or its code, in one line; `none` where it does not."""

    @abstractmethod
    def parameters(self, shape: Shape) -> int:
        """Trainable elements on a model of this shape, from the paper's formula.

        Raises `WrongInput` where the hyperparameters do not fit the shape (no such site, width that does not divide).
        """

    @abstractmethod
    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """Draw the tensors of step 0; every random number comes from `generator` (a CPU generator of the trial's seed)."""

    def rate(self, name: str) -> float:
        """Learning rate of the tensor called `name`; the field `lr` unless the method has several."""
        rate: float = getattr(self, "lr")  # noqa: B009 - every method declares the field, with its own axis
        return rate

    def unit(self, name: str, shape: Shape) -> float:
        """What a rate of 1 stands for in the tensor called `name`, on a model of this shape.

        Training sees the tensor in this unit (`Pack.units`): a step moves it by about rate · unit, so that with the right unit what
        the tensor adds to, multiplies or replaces moves by about the rate times its own size, whatever the model. 1 where the tensor's
        size does not depend on the model's. Stored and exported values are as they stand in the equation.
        """
        return 1.0

    def noise(self, shape: Shape, generator: Generator) -> dict[str, Tensor]:
        """Fresh random tensors for one training step, handed to the effects beside the others; none by default."""
        return {}

    def penalty(self, p: Named) -> Tensor:
        """What the method adds to a trial's training loss: a scalar of all its tensors, under their full names; 0 by default."""
        return torch.zeros(())

    def signature(self) -> tuple[object, ...]:
        """Equal for two methods whose trials can be computed as one batch."""
        structural = (f for f in fields(self) if f.metadata.get("structural", True))
        return (type(self), *((f.name, getattr(self, f.name)) for f in structural))


@dataclass(frozen=True)
class SoftPrompt(Method):
    """Virtual tokens in front of everything, as in PEFT's PROMPT_TUNING."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft")

    @property
    @abstractmethod
    def length(self) -> int:
        """Number n of virtual tokens."""

    @abstractmethod
    def prompt(self, p: Named) -> Tensor:
        """The virtual tokens' embeddings, of shape (n, width)."""

    def embeddings(self, p: Named, x: Tensor) -> Tensor:
        """Token embeddings `x` (tokens, width) of one text, changed or as they are."""
        return x


@dataclass(frozen=True)
class KeysValues(Method):
    """Extra keys and values in front of every chosen attention, as in PEFT's PREFIX_TUNING (keys after rotary)."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft")

    @property
    @abstractmethod
    def length(self) -> int:
        """Number n of extra positions."""

    @abstractmethod
    def sites(self, shape: Shape) -> tuple[Attention, ...]:
        """The attentions that get them."""

    @abstractmethod
    def keys_values(self, p: Named, site: Attention) -> tuple[Tensor, Tensor]:
        """Keys and values of shape (n, kv) each."""


@dataclass(frozen=True)
class Pooled(Method):
    """Label scores from one pooled hidden state of the text, in the place of the task's own readout."""

    @property
    def batches(self) -> int:
        """Rows of a step over the recipe's batch, where nothing else is trained: frozen states are kept, so that many cost little."""
        return 1

    @abstractmethod
    def place(self, shape: Shape) -> str:
        """What of the hidden states is read: one of `POOLINGS`; `WrongInput` where the model has no such place."""

    @abstractmethod
    def scores(self, p: Named, h: Tensor) -> Tensor:
        """Label scores (rows, labels) of pooled states `h` (rows, width)."""

    def start(self, shape: Shape, rows: Callable[[], tuple[Tensor, Tensor]], described: Callable[[], Tensor]) -> dict[str, Tensor]:
        """Trainable tensors to begin with in the place of `build`'s, seen in what the frozen model makes of the task.

        `rows` gives the states (rows, width) and label numbers of training rows, `described` the states (labels, width) of the labels'
        descriptions.
        """
        return {}


@dataclass(frozen=True)
class LinearEffect(Method):
    """A change of what some frozen linears compute. Override `before`, `after`, or use a narrower effect below."""

    @abstractmethod
    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears that are changed."""

    @property
    def under_bias(self) -> bool:
        """Whether `after` gets `y` without the frozen bias, which is then added behind it."""
        return False

    @property
    def reads_weight(self) -> bool:
        """Whether `after` reads numbers of the frozen weight; where not, one in few bits is not made whole for it."""
        return True

    def before(self, p: Named, site: Linear, x: Tensor) -> Tensor:
        """The linear's input, `x` of shape (tokens, inputs)."""
        return x

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """The linear's output, given its input `x`, plain output `y` (tokens, outputs) and frozen `weight` (outputs, inputs)."""
        return y


@dataclass(frozen=True)
class LowRank(LinearEffect):
    """`y = W x + B A x`, or `y = m ⊙ (W + B A) x / ‖W + B A‖_rows`: everything that PEFT's LORA can represent, DoRA included."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")

    @abstractmethod
    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`B` (outputs, r) and `A` (r, inputs), scaling included; `weight` is the frozen W."""

    def magnitude(self, p: Named, site: Linear, weight: Tensor) -> Tensor | None:
        """`m` (outputs,); None unless the method learns it apart from the direction (then it is `under_bias`)."""
        return None

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Add `B A x`, from the right; `(B A) x` where the rank is so high that this is less work for every token."""
        b, a = self.factors(p, site, weight)
        product = b.numel() + a.numel() > site.inputs * site.outputs
        changed = y + (x @ (b @ a).mT.to(x.dtype) if product else (x @ a.mT.to(x.dtype)) @ b.mT.to(x.dtype))
        m = self.magnitude(p, site, weight)
        return changed if m is None else changed * (m / _row_norms(weight.to(b.dtype), b.detach(), a.detach())).to(changed.dtype)


@dataclass(frozen=True)
class Spectral(LowRank):
    """`ΔW = Re(IDFT₂(F))` where F is zero but for a few known entries: PEFT's FOURIERFT.  Its n waves have rank 2n."""

    @abstractmethod
    def spectrum(self, p: Named, site: Linear) -> tuple[Tensor, Tensor, Tensor]:
        """Rows and columns of F's entries in (outputs, inputs), and their values, scaling included; (n,) each."""

    @abstractmethod
    def seed(self, p: Named) -> int:
        """PEFT's `random_loc_seed` of the entries."""

    def factors(self, p: Named, site: Linear, weight: Tensor) -> tuple[Tensor, Tensor]:
        """cos(α + β) = cos α cos β - sin α sin β, for the angles α of the outputs and β of the inputs."""
        rows, columns, values = self.spectrum(p, site)
        down, across = (  # whole turns are dropped before rounding
            (at[:, None] * torch.arange(width, device=at.device) % width).to(values.dtype) * (2 * torch.pi / width)
            for at, width in ((rows, site.outputs), (columns, site.inputs))
        )
        scaled = values[:, None] / (site.outputs * site.inputs)
        b = torch.cat([scaled * down.cos(), -scaled * down.sin()])
        return b.mT, torch.cat([across.cos(), across.sin()])


@dataclass(frozen=True)
class Affine(LinearEffect):
    """Any other change under which the linear stays affine in x, so that it can be merged into weight and bias."""

    exports: ClassVar[tuple[str, ...]] = ("native", "merged")


@dataclass(frozen=True)
class Gates(Affine):
    """Learnt factors on a linear's input or output, `y = g_out ⊙ (W (g_in ⊙ x) + b + δ)`: PEFT's IA3, or LORA with biases."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")
    reads_weight = False

    @abstractmethod
    def gates(self, p: Named, site: Linear) -> tuple[Tensor | None, Tensor | None]:
        """`g_in` (inputs,) and `g_out` (outputs,); None stands for ones."""

    def shift(self, p: Named, site: Linear) -> Tensor | None:
        """`δ` (outputs,); None, for zeros, unless the method trains biases too."""
        return None

    def before(self, p: Named, site: Linear, x: Tensor) -> Tensor:
        """g_in ⊙ x."""
        gate, _ = self.gates(p, site)
        return x if gate is None else x * gate

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """g_out ⊙ (y + δ)."""
        (_, gate), shift = self.gates(p, site), self.shift(p, site)
        y = y if shift is None else y + shift
        return y if gate is None else y * gate


@dataclass(frozen=True)
class Biases(Affine):
    """A learnt vector added to a linear's output, `y = W x + b + δ`."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")
    reads_weight = False

    @abstractmethod
    def bias(self, p: Named, site: Linear) -> Tensor:
        """`δ` (outputs,)."""

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """y + δ."""
        return y + self.bias(p, site)


@dataclass(frozen=True)
class Dense(Affine):
    """`y = (W + ΔW) x + b` with a ΔW of any rank: PEFT's LORA at the number of rows or columns that ΔW touches."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")

    @abstractmethod
    def delta(self, p: Named, site: Linear, weight: Tensor) -> Tensor:
        """`ΔW` (outputs, inputs), scaling included; `weight` is the frozen W."""

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Add ΔW x."""
        return y + x @ self.delta(p, site, weight).mT.to(x.dtype)


@dataclass(frozen=True)
class Sparse(Affine):
    """`y = (W + ΔW) x + b` where ΔW is zero but for a few known entries: PEFT's SHIRA."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")

    @abstractmethod
    def entries(self, p: Named, site: Linear) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, columns and values of ΔW's entries, (k,) each, no position twice."""

    def after(self, p: Named, site: Linear, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Add ΔW x, entry by entry, summed in the precision of the values."""
        rows, columns, values = self.entries(p, site)
        change = torch.zeros_like(y, dtype=values.dtype).index_add(-1, rows, x.index_select(-1, columns) * values)
        return y + change


@dataclass(frozen=True)
class NormEffect(Method):
    """A change of scale and shift for some of the model's norms: `y = x̂ ⊙ (γ + δγ) + (β + δβ)` (PEFT's LN_TUNING)."""

    exports: ClassVar[tuple[str, ...]] = ("native", "peft", "merged")

    @abstractmethod
    def norms(self, shape: Shape) -> tuple[Norm, ...]:
        """The norms that are changed."""

    @abstractmethod
    def affine(self, p: Named, site: Norm) -> tuple[Tensor | None, Tensor | None]:
        """`δγ` and `δβ`, of shape (width,) each; None stands for zeros."""


def _row_norms(w: Tensor, b: Tensor, a: Tensor) -> Tensor:
    """‖W + B A‖ of every row, (outputs,), as a constant: DoRA lets no gradient through it."""
    squares = w.square().sum(1) + 2 * (b * (w @ a.mT)).sum(1) + (b @ (a @ a.mT) * b).sum(1)
    return squares.clamp_min(torch.finfo(squares.dtype).tiny).sqrt()


def normal(*size: int, generator: Generator, std: float = 1.0) -> Tensor:
    """Draw N(0, std²) numbers, float32, on the CPU."""
    return torch.randn(*size, generator=generator) * std


def uniform(*size: int, generator: Generator, bound: float) -> Tensor:
    """Draw U(-bound, bound) numbers, float32, on the CPU."""
    return (torch.rand(*size, generator=generator) * 2 - 1) * bound
