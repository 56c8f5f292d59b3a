"""SGC, sparse gradient compression: Adam's moments live in a space smaller than the gradient's.

    p = A · top_s(g)      m, v = Adam's moments of p      u = m̂ / (√v̂ + ε)      θ ← θ - lr · x,  x s-sparse with A x ≈ u

A (k×c) has N(0, 1/k) entries and works on chunks of c elements of a trial; x is found by orthogonal matching pursuit. Only 2k numbers
are remembered of every c elements, though gradients are whole and every element may move: the count is N.

Yang et al. 2025, arXiv 2502.00311, the memory-efficient variant; the paper's chunks are its layers. Pursuit finds x where
k ≥ 2 s ln(c/s), which the axes keep to; only s of every c elements move in a step, so a rate of AdamW's is slow here.
"""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...spaces.axes import Choice, Float
from ..method import hyperparameter
from ..model.pack import Pack
from ..model.seeds import generator
from ..optimizer import Optimizer, State, StepContext, adam

CHUNK = 256


@dataclass(frozen=True)
class Sgc(Optimizer):
    """Sparse gradient compression."""

    formula: ClassVar[str] = "all; moments 2·k/c·N"
    citation: ClassVar[str] = "Yang et al. 2025, arXiv 2502.00311"
    published: ClassVar[str] = "not read"
    deviations: ClassVar[str] = "chunks of 256 elements, the paper's are its layers"

    compression: float = hyperparameter(0.5, Choice((0.25, 0.5)))
    sparsity: float = hyperparameter(0.04, Float(0.01, 0.06, log=True))

    @property
    def k(self) -> int:
        """Moments of each kind for a chunk."""
        return round(self.compression * CHUNK)

    @property
    def s(self) -> int:
        """Elements of a chunk that move in one step."""
        return max(1, min(self.k // 2, round(self.sparsity * CHUNK)))

    def vectors(self) -> tuple[str, ...]:
        """Nothing of the size of the gradient."""
        return ()

    def rows(self, total: int) -> dict[str, int]:
        """k of each moment for every chunk."""
        return dict.fromkeys(("m", "v"), -(-total // CHUNK) * self.k)

    def step(self, pack: Pack, state: State, context: StepContext) -> Tensor:
        """Compress, smooth, recover."""
        losses, g = context.gradient(pack)
        a = projection(self.k).to(g)
        m, v = (state.rows[name].view(pack.size, -1, self.k) for name in ("m", "v"))
        chunks = torch.stack([_chunks(g[place], m.shape[1]) for place in pack.places])
        u = adam(m, v, top(chunks, self.s) @ a.mT, step=context.step, by=context.adam)
        x = pursue(a, u.flatten(0, 1), self.s).view_as(chunks)
        for place, own in zip(pack.places, x.flatten(1), strict=True):
            pack.flat[place] -= context.rates[place] * own[: len(place)]
        return losses


@cache
def projection(k: int) -> Tensor:
    """A (k, c), the same for every chunk of every trial."""
    a: Tensor = torch.randn(k, CHUNK, generator=generator(CHUNK, k)) * k**-0.5
    return a


def top(x: Tensor, s: int) -> Tensor:
    """Keep the `s` entries of largest magnitude in the last dimension, zero elsewhere."""
    indices = x.abs().topk(s, -1).indices
    return torch.zeros_like(x).scatter(-1, indices, x.gather(-1, indices))


def pursue(a: Tensor, u: Tensor, s: int) -> Tensor:
    """Orthogonal matching pursuit: x (chunks, c) with `s` entries such that `a` (k, c) x ≈ `u` (chunks, k).

    Where `u` is 0, x is 0.
    """
    support = torch.zeros(len(u), 0, dtype=torch.long, device=u.device)
    x, residual = u.new_zeros(len(u), a.shape[1]), u
    for _ in range(s):
        match = (residual @ a).abs().scatter(-1, support, -1.0)
        support = torch.cat([support, match.argmax(-1, keepdim=True)], -1)
        columns = a.mT[support]  # (chunks, chosen, k)
        gram = columns @ columns.mT
        values = torch.linalg.solve(gram, columns @ u[..., None])
        residual = u - (columns.mT @ values)[..., 0]
    return x.scatter(-1, support, values[..., 0])


def _chunks(g: Tensor, count: int) -> Tensor:
    return pad(g, (0, count * CHUNK - len(g))).view(count, CHUNK)
