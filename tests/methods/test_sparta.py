"""SpaRTA by hand, exactly k entries, and agreement with peft's SHIRA."""

from typing import Any

import peft
import pytest
import torch
from torch import nn

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.sparta import Sparta

from ..shapes import linear, shape


def test_equation() -> None:
    p = {"rows": torch.tensor([0, 0, 2]), "columns": torch.tensor([0, 1, 1]), "delta": torch.tensor([1.0, 2.0, -1.0])}
    x, y = torch.tensor([[10.0, 1.0], [0.0, 2.0]]), torch.zeros(2, 3)
    assert Sparta().after(p, linear(2, 3), x, y, torch.zeros(3, 2)).tolist() == [[12.0, 0.0, -1.0], [4.0, 0.0, -2.0]]


@pytest.mark.parametrize("k", [1, 5, 1000, 4096])
def test_exactly_k_different_entries_in_proportion_to_the_weights(k: int) -> None:
    where, method = shape(width=32, layers=2), Sparta(k=k)
    tensors = method.build(where, torch.Generator().manual_seed(0))
    keys = [site.key for site in method.sites(where)]
    positions = {key: torch.stack([tensors.frozen[f"{key}/rows"], tensors.frozen[f"{key}/columns"]], 1).tolist() for key in keys}
    entries = {(key, *pair) for key, pairs in positions.items() for pair in pairs}
    assert len(entries) == k == method.parameters(where) == sum(t.numel() for t in tensors.trainable.values())
    counts = [tensors.trainable[f"{key}/delta"].numel() for key in keys]
    assert max(counts) - min(counts) <= 1


def test_seeds_differ_in_positions_and_agree_in_sizes() -> None:
    """Equal sizes let trials of different seeds train as one batch."""
    first, second = (Sparta(k=77).build(shape(width=16), torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert not torch.equal(first.frozen["0.v/rows"], second.frozen["0.v/rows"])
    assert {k: v.shape for k, v in first.frozen.items()} == {k: v.shape for k, v in second.frozen.items()}


def test_agrees_with_peft() -> None:
    torch.manual_seed(0)
    stock = peft.get_peft_model(nn.Sequential(nn.Linear(8, 6)), peft.ShiraConfig(r=2, target_modules=["0"], init_weights=False))
    layer: Any = stock.get_submodule("base_model.model.0")
    rows, columns = layer.shira_indices["default"].long()
    p = {"rows": rows, "columns": columns, "delta": layer.shira_weight["default"].detach()}
    x = torch.randn(3, 8)
    ours = Sparta().after(p, linear(8, 6), x, layer.base_layer(x), layer.base_layer.weight)
    with torch.sparse.check_sparse_tensor_invariants():  # peft leaves the choice to torch, which warns
        torch.testing.assert_close(ours, stock(x))
    assert stock.get_nb_trainable_parameters()[0] == p["delta"].numel()


def test_more_entries_than_weights_are_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"sparta\.k: 300 is above the 256 weights of the chosen linears; lower k or choose more linears"):
        Sparta(k=300).parameters(shape(width=8))
