"""Stock PEFT adapters on a few bare linears, for methods that PEFT has too."""

from typing import Any

import torch
from torch import nn

from ulpt_search.spaces.shape import Linear


class Stock:
    """PEFT's own adapter on linears q (width × width) and v (width × kv) of every layer, from a fixed seed."""

    def __init__(self, config: Any, *, width: int, kv: int, layers: int) -> None:
        from peft import get_peft_model

        torch.manual_seed(0)
        base = [nn.ModuleDict({"q": nn.Linear(width, width), "v": nn.Linear(width, kv)}) for _ in range(layers)]
        self.model: Any = get_peft_model(nn.Sequential(*base), config)  # type: ignore[arg-type, unused-ignore]

    @property
    def trainable(self) -> int:
        """Number of trainable elements, as PEFT has them."""
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def at(self, site: Linear) -> Any:
        """PEFT's module in the place of a linear."""
        return self.model.get_submodule(f"base_model.model.{site.layer}.{site.role}")
