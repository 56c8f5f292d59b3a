"""The rows of one pass, as a readout gets them."""

from dataclasses import dataclass

from torch import Tensor

from ..conventions import Conventions


@dataclass(frozen=True)
class Texts:
    """`embeds` (rows, tokens, width), laid out `[prompt | text | pad]`, and the rest as in `Conventions.inputs`."""

    embeds: Tensor
    fronts: Tensor
    lengths: Tensor
    shifts: Tensor | None = None
    types: Tensor | None = None
    choices: Tensor | None = None
    """(rows, choices, tokens) of rows that have their own; -1 where there is no token."""
    answers: Tensor | None = None
    """Tokens (rows, most) that rows answer with, one behind the other; -1 behind the last."""
    places: Tensor | None = None
    """The tokens (rows, most) of each row's own text that these follow; of an encoder-decoder's, their places in the answer."""

    @property
    def ends(self) -> Tensor:
        """How many columns prompt and text take, (rows,)."""
        return self.fronts + self.lengths

    def __len__(self) -> int:
        return len(self.embeds)

    def inputs(self, conventions: Conventions) -> dict[str, Tensor]:
        """Return the arguments of a forward pass over the rows alone."""
        return conventions.inputs(self.embeds, fronts=self.fronts, lengths=self.lengths, shifts=self.shifts, types=self.types)

    def repeated(self, copies: int) -> "Texts":
        """Every row as many times, one behind the other, without types and choices."""
        if copies == 1:
            return self
        embeds, fronts, lengths = (tensor.repeat_interleave(copies, 0) for tensor in (self.embeds, self.fronts, self.lengths))
        return Texts(embeds, fronts, lengths, None if self.shifts is None else self.shifts.repeat_interleave(copies, 0))
