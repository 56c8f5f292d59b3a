"""Model shapes as plain numbers, for counts on models that nobody has to load."""

from ulpt_search.spaces.shape import Attention, Linear, Norm, Shape


def linear(inputs: int, outputs: int, *, role: str = "q", layer: int = 0, bias: bool = False) -> Linear:
    """One linear."""
    return Linear(f"layers.{layer}.{role}", layer, role, inputs, outputs, bias)


def shape(
    *,
    width: int,
    kv: int | None = None,
    feed_forward: int | None = None,
    layers: int = 2,
    heads: int = 4,
    bias: bool = False,
    rms: float = 0.02,
) -> Shape:
    """A decoder of the Llama kind: q, k, v, o, gate, up, down in every layer, two norms a layer and one behind them."""
    kv, inner = kv or width, feed_forward or 4 * width
    sizes = {"q": (width, width), "k": (width, kv), "v": (width, kv), "o": (width, width)}
    sizes |= {"gate": (width, inner), "up": (width, inner), "down": (inner, width)}
    numbers = range(layers)
    linears = tuple(linear(i, o, role=role, layer=n, bias=bias) for n in numbers for role, (i, o) in sizes.items())
    norms = tuple(Norm(f"layers.{n}.norm{i}", n, f"norm{i}", width, bias=False) for n in numbers for i in (1, 2))
    norms += (Norm("norm", -1, "norm", width, bias=False),)
    head = width // heads
    attentions = tuple(Attention(f"layers.{n}.attention", n, heads, kv // head, head) for n in numbers)
    return Shape("decoder", width, layers, 32_000, rms, linears, norms, attentions)
