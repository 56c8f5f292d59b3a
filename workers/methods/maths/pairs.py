"""What a head sees of a pair whose texts are read each by itself: u (d) and v (d) become features.

Names, features, their width and source:

    difference,product          (|u - v|, u ⊙ v)            2·d  Tai, Socher & Manning 2015, arXiv 1503.00075: no order of the two
    both,difference             (u, v, |u - v|)             3·d  Reimers & Gurevych 2019, arXiv 1908.10084 (Sentence-BERT)
    both,difference,product     (u, v, |u - v|, u ⊙ v)      4·d  Conneau et al. 2017, arXiv 1705.02364 (InferSent)
    cosine                      cos(u, v)                   1    what sentence encoders were trained for
"""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from .remembering import Remembered

FEATURES = ("difference,product", "both,difference", "both,difference,product", "cosine")
COSINE = FEATURES[3]
_TIMES = {"both": 2, "difference": 1, "product": 1}


def width_of(which: str, d: int) -> int:
    """How wide features of states of width `d` are."""
    return 1 if which == COSINE else d * sum(_TIMES[name] for name in which.split(","))


def features(h: Tensor, which: str) -> Tensor:
    """Return features (..., width_of(which, d)) of `h` (..., 2 · d), the states u and v behind each other."""
    u, v = h.chunk(2, dim=-1)
    if which == COSINE:
        return cosine_similarity(u, v, dim=-1)[..., None]
    made = {"both": [u, v], "difference": [(u - v).abs()], "product": [u * v]}
    return torch.cat([piece for name in which.split(",") for piece in made[name]], -1)


_KEPT = Remembered()


def kept_features(h: Tensor, which: str) -> Tensor:
    """The same, made once for the same tensor: of the rows that heads start from."""
    return _KEPT.of(h, None, which, lambda: features(h, which))
