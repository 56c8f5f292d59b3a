"""FourierFT: learn a few coefficients of the update's Fourier transform.

    ΔW = α Re(IDFT₂(F))      F (out×in) = 0 but for F[E] = c;  c (n) ~ N(0, 1) trainable for each linear, E (2×n) frozen

Gao et al. 2024, arXiv 2405.03003.  All linears of one size have their coefficients at the same places E.  These follow from a seed
of their own by PEFT's rule, so that PEFT finds them again.  c does not start at zero, so the model is changed at step 0.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ...spaces.axes import Float, Int
from ...spaces.errors import WrongInput
from ...spaces.shape import Linear, Shape
from ..method import LAYERS, MODULES, Named, Spectral, Tensors, hyperparameter, normal


@dataclass(frozen=True)
class Fourierft(Spectral):
    """Fine-tuning in the Fourier domain."""

    formula: ClassVar[str] = "n for each of the chosen linears"
    citation: ClassVar[str] = "Gao et al. 2024, arXiv 2405.03003"
    published: ClassVar[str] = "0.1 to 0.3 with α 300 (paper)"
    deviations: ClassVar[str] = "none"

    frequencies: int = hyperparameter(32, Int(1, 1024, log=True))
    alpha: float = hyperparameter(100.0, Float(1.0, 1000.0, log=True), structural=False)
    lr: float = hyperparameter(0.1, Float(1e-3, 0.5, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", MODULES)

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def parameters(self, shape: Shape) -> int:
        """n for each linear."""
        sites = self.sites(shape)
        for site in sites:
            if self.frequencies > site.inputs * site.outputs:
                raise WrongInput(
                    f"fourierft.frequencies: {self.frequencies} is above the {site.inputs * site.outputs} of {site.name}; lower frequencies"
                )
        return self.frequencies * len(sites)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """c ~ N(0, 1); frozen: α, a seed, and the places that PEFT draws from it."""
        seed = torch.randint(2**31, (1,), generator=generator)
        sites = self.sites(shape)
        places = {size: _places(size, self.frequencies, int(seed)) for size in sorted({(site.outputs, site.inputs) for site in sites})}
        frozen = {"alpha": torch.tensor(self.alpha), "seed": seed}
        frozen |= {f"{site.key}/E": places[site.outputs, site.inputs] for site in sites}
        return Tensors({f"{site.key}/c": normal(self.frequencies, generator=generator) for site in sites}, frozen)

    def spectrum(self, p: Named, site: Linear) -> tuple[Tensor, Tensor, Tensor]:
        """E and α c."""
        rows, columns = p["E"]
        return rows, columns, p["alpha"] * p["c"]

    def seed(self, p: Named) -> int:
        """The seed of E."""
        return int(p["seed"])


def _places(size: tuple[int, int], count: int, seed: int) -> Tensor:
    """Rows and columns (2, n) of the first places in a random order of all, as in PEFT."""
    outputs, inputs = size
    order = torch.randperm(outputs * inputs, generator=Generator().manual_seed(seed))[:count]
    return torch.stack([order // inputs, order % inputs])
