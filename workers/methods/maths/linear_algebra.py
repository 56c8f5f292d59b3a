"""Decompositions of frozen weights, computed once a weight and process."""

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Pair = tuple[Tensor, Tensor]

_PRINCIPAL = WeakTensorKeyDictionary()
"""Stored weight -> (its version, strides of the view asked for, rank) -> what `principal` returned."""


def principal(weight: Tensor, rank: int) -> Pair:
    """Return `U √S` (outputs, rank) and `√S Vᵀ` (rank, inputs) of a weight's largest singular values.

    Each pair of singular vectors has the sign under which the largest entry of u is positive, since v decides otherwise what a
    method trained on them means. In float64 inside, at least float32 outside; remembered until the weight changes or goes.
    """
    stored = weight._base if weight._base is not None else weight
    stored, part = getattr(weight, "stays", (stored, None))  # a weight in few bits is made anew for each pass
    known: dict[tuple[object, ...], Pair] = _PRINCIPAL.setdefault(stored, {})
    key = (stored._version, weight.stride(), part, rank)
    if key not in known:
        with torch.inference_mode(mode=False), torch.no_grad():
            known[key] = _principal(weight, rank)
    return known[key]


def _principal(weight: Tensor, rank: int) -> Pair:
    """By the eigenvectors of the smaller of WᵀW and WWᵀ: a fraction of a full decomposition's time, and as exact at the top."""
    w = weight.double()
    tall = w.shape[0] >= w.shape[1]
    values, vectors = torch.linalg.eigh(w.mT @ w if tall else w @ w.mT)
    precision = torch.finfo(torch.float64)
    root = values[-rank:].flip(0).clamp_min(values[-1] * precision.eps).clamp_min(precision.tiny).pow(0.25)
    near = vectors[:, -rank:].flip(1)
    far = (w @ near if tall else w.mT @ near) / root
    left, right = (far, near * root) if tall else (near * root, far)
    signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
    dtype = torch.promote_types(weight.dtype, torch.float32)
    return (left * signs).to(dtype), (right * signs).mT.to(dtype).contiguous()


def polar(matrices: Tensor) -> Tensor:
    """Return `U Vᵀ` of every matrix (..., rows, columns), over its non-zero singular values: the nuclear norm's gradient."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    m = (matrices.mT if tall else matrices).double()
    values, vectors = torch.linalg.eigh(m @ m.mT)
    nonzero = values > values.amax(-1, keepdim=True) * m.shape[-1] * torch.finfo(m.dtype).eps
    inverse_roots = torch.where(nonzero, values.clamp_min(torch.finfo(m.dtype).tiny).rsqrt(), 0.0)
    made: Tensor = (vectors * inverse_roots[..., None, :]) @ (vectors.mT @ m)
    return (made.mT if tall else made).to(matrices.dtype)
