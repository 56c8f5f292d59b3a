"""FourierFT's equation as an inverse transform, agreement with peft on forward and count, and the published counts."""

import pytest
import torch

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.methods.fourierft import Fourierft
from ulpt_search.workers.model.sites import local

from ..oracles import Stock
from ..shapes import linear, shape


def test_equation() -> None:
    p = {"E": torch.tensor([[1], [0]]), "c": torch.tensor([2.0]), "alpha": torch.tensor(8.0)}
    b, a = Fourierft(frequencies=1).factors(p, linear(2, 4), torch.zeros(0))
    # one wave down the four outputs: 8·2/8·cos(2πj/4) in both columns
    torch.testing.assert_close(b @ a, 2 * torch.tensor([[1.0, 1.0], [0.0, 0.0], [-1.0, -1.0], [0.0, 0.0]]))


@pytest.mark.parametrize("frequencies", [1, 5, 40])
def test_agrees_with_the_transform_and_with_peft(frequencies: int) -> None:
    from peft import FourierFTConfig

    method, model, draw = Fourierft(frequencies=frequencies, alpha=7.0), shape(width=12, kv=8, layers=2), torch.Generator().manual_seed(0)
    tensors = method.build(model, draw)
    p = tensors.trainable | tensors.frozen
    config = FourierFTConfig(n_frequency=frequencies, scaling=7.0, random_loc_seed=method.seed(p), target_modules=["q", "v"])
    stock = Stock(config, width=12, kv=8, layers=2)
    assert stock.trainable == method.parameters(model)
    for site in method.sites(model):
        theirs, mine, x = stock.at(site), local(p, site.key), torch.randn(5, 12, generator=draw)
        theirs.fourierft_spectrum["default"].data = mine["c"]
        torch.testing.assert_close(method.after(mine, site, x, theirs.base_layer(x).detach(), torch.zeros(0)), theirs(x).detach())
        rows, columns, values = method.spectrum(mine, site)
        b, a = method.factors(mine, site, torch.zeros(0))
        torch.testing.assert_close(b @ a, torch.fft.ifft2(torch.zeros(site.outputs, 12).index_put((rows, columns), values)).real)


@pytest.mark.parametrize(("frequencies", "published"), [(1, 32), (128, 4_096), (512, 16_384), (1024, 32_768)])
def test_published_counts_on_llama_1b(frequencies: int, published: int) -> None:
    assert Fourierft(frequencies=frequencies).parameters(shape(width=2048, kv=512, layers=16)) == published


def test_more_frequencies_than_entries_are_refused_before_launch() -> None:
    with pytest.raises(WrongInput, match=r"fourierft\.frequencies: 65 is above the 64 of layers\.0\.q; lower frequencies"):
        Fourierft(frequencies=65).parameters(shape(width=8))
