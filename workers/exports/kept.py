"""By what a merged folder tells on which model it was made, without that model."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from ...spaces.hashing import sha256_of_json
from ..model.identity import sha256_of_tensor


@dataclass(frozen=True)
class Kept:
    """What folding leaves alone."""

    changed: tuple[str, ...]
    """Names of the tensors that were folded into."""
    sha256: str
    """Of the names and bytes of all others."""

    def inside(self, model: PreTrainedModel) -> "Kept":
        """The same of a model's body alone, which other classes have, too."""
        prefix = f"{model.base_model_prefix}." if model.base_model is not model else ""
        return Kept.of(model.base_model, [name.removeprefix(prefix) for name in self.changed])

    @classmethod
    def of(cls, model: nn.Module, changed: Iterable[str]) -> "Kept":
        """Of a float32 model, whose folded tensors are called so."""
        names = tuple(sorted(changed))
        others = {name: tensor for name, tensor in model.state_dict().items() if name not in names}
        return cls(names, sha256_of_json({name: sha256_of_tensor(tensor) for name, tensor in sorted(others.items())}))
