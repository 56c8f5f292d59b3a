"""(IA)³'s equation by hand, and the published count on Llama-3.2-1B."""

import torch

from ulpt_search.workers.methods.ia3 import Ia3

from ..shapes import linear, shape


def test_equation() -> None:
    method, p = Ia3(), {"l": torch.tensor([2.0, 0.5])}
    tokens = torch.tensor([[4.0, 4.0]])
    assert method.after(p, linear(2, 2, role="k"), tokens, tokens, torch.eye(2)).tolist() == [[8.0, 2.0]]
    assert method.before(p, linear(2, 2, role="k"), tokens).tolist() == [[4.0, 4.0]]
    assert method.before(p, linear(2, 2, role="down"), tokens).tolist() == [[8.0, 2.0]]
    assert method.after(p, linear(2, 2, role="down"), tokens, tokens, torch.eye(2)).tolist() == [[4.0, 4.0]]


def test_published_count() -> None:
    assert Ia3().parameters(shape(width=2048, kv=512, feed_forward=8192, layers=16)) == 147_456
