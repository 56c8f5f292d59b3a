"""The bottleneck that adapters put behind a sublayer, in the precision of what flows through it."""

from torch import Tensor
from torch.nn.functional import gelu, linear


def bottleneck(y: Tensor, down: Tensor, down_bias: Tensor, up: Tensor, up_bias: Tensor) -> Tensor:
    """`U gelu(D y + c) + b` for tokens `y` (tokens, d) with `down` D (r, d), `down_bias` c (r,), `up` U (d, r), `up_bias` b (d,)."""
    inner = gelu(linear(y, down.to(y.dtype), down_bias.to(y.dtype)))
    return linear(inner, up.to(y.dtype), up_bias.to(y.dtype))
