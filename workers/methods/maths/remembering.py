"""What was made of tensors that come again: the trials of a search look at the same states, and what follows from them is found once."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

Made = TypeVar("Made")


class Remembered:
    """What was made of each tensor; gone when the tensor is."""

    def __init__(self) -> None:
        self._kept: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def of(self, tensor: Tensor, beside: Tensor | None, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` makes of a tensor and the one `beside` it, told by identity; under `key`, what was made before.

        None beside a tensor that stands alone: one kept beside itself would never go.
        """
        seen, found = self._kept.get(tensor, (None, None))
        if found is None or seen is not beside:
            found = {}
            self._kept[tensor] = (beside, found)
        if key not in found:
            found[key] = make()
        made: Any = found[key]
        return made  # type: ignore[no-any-return]
