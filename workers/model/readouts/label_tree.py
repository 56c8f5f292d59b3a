"""Labels of several tokens as a tree: what has to be read once, and where each label's tokens are told.

The likelihood of a label is that of its tokens, each given the text and the label's tokens before it:

    log P(y_1 … y_n | x) = Σ_i log P(y_i | x, y_1 … y_{i-1})

So what must stand behind the text are the labels' beginnings (all of a label but its last token), and labels that begin alike share
them: `very negative` and `very positive` need one token more than the text, labels of one token none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Reads:
    """Where the tokens of labels are read, (labels, width) each.

    The place whose logits tell a token, the token, and 1 where there is one.
    """

    places: Tensor
    tokens: Tensor
    present: Tensor

    def to(self, device: torch.device) -> "Reads":
        """The same on a device."""
        return Reads(self.places.to(device), self.tokens.to(device), self.present.to(device))

    def of(self, logits: Tensor) -> Tensor:
        """Return the log-probability of every token of every label, 0 where there is none: (rows, labels, width).

        `logits` are (rows, places, vocabulary), of the precision in which the sums are to be.
        """
        total = logits.logsumexp(-1)
        return (logits[:, self.places, self.tokens] - total[:, self.places]) * self.present


@dataclass(frozen=True)
class LabelTree:
    """The tokens of every label, and what follows from them. No label is empty."""

    labels: tuple[Tokens, ...]

    @cached_property
    def width(self) -> int:
        """Tokens of the longest label."""
        return max(map(len, self.labels))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many tokens each label has."""
        return tuple(map(len, self.labels))

    @cached_property
    def nodes(self) -> tuple[Tokens, ...]:
        """Every beginning of a label that is not the whole label, each once, parents before children."""
        found = (label[:end] for label in self.labels for end in range(1, len(label)))
        return tuple(sorted(dict.fromkeys(found), key=len))

    @cached_property
    def paths(self) -> tuple[Tokens, ...]:
        """The beginnings that are not part of a longer one: as sequences behind the text, they show every node; () where one suffices."""
        inner = {node[:-1] for node in self.nodes}
        return tuple(node for node in self.nodes if node not in inner) or ((),)

    @cached_property
    def path_of(self) -> tuple[int, ...]:
        """The number of a path that begins as each label does."""
        return tuple(next(i for i, path in enumerate(self.paths) if path[: len(label) - 1] == label[:-1]) for label in self.labels)

    def bundles(self, nodes: int) -> "Iterator[tuple[tuple[int, ...], LabelTree]]":
        """The labels, those that begin alike together, in trees of at most so many nodes where more than one label is left.

        Yields the numbers of the labels and their tree.
        """
        chosen: list[int] = []
        seen: set[Tokens] = set()
        for number in sorted(range(len(self.labels)), key=self.labels.__getitem__):
            own = {self.labels[number][:end] for end in range(1, len(self.labels[number]))}
            if chosen and len(seen | own) > nodes:
                yield tuple(chosen), LabelTree(tuple(self.labels[i] for i in chosen))
                chosen, seen = [], set()
            chosen.append(number)
            seen |= own
        yield tuple(chosen), LabelTree(tuple(self.labels[i] for i in chosen))

    @property
    def depth(self) -> int:
        """Tokens of the longest path."""
        return self.width - 1

    def in_tree(self) -> Reads:
        """Reads where place 0 is the end of the text and place 1 + i the i-th node."""
        place = {(): 0, **{node: 1 + i for i, node in enumerate(self.nodes)}}
        return self._reads([[place[label[:i]] for i in range(len(label))] for label in self.labels])

    def in_paths(self) -> Reads:
        """Reads where place p · (depth + 1) + i is behind the i-th token of path p; i = 0 is the end of the text."""
        starts = [path * (self.depth + 1) for path in self.path_of]
        return self._reads([[start + i for i in range(len(label))] for start, label in zip(starts, self.labels, strict=True)])

    def alone(self) -> Reads:
        """Reads of each label behind its own path and no other: place i is behind the path's i-th token."""
        return self._reads([list(range(len(label))) for label in self.labels])

    def _reads(self, places: Sequence[Sequence[int]]) -> Reads:
        present = [[1] * size for size in self.sizes]
        return Reads(_table(places, self.width), _table(self.labels, self.width), _table(present, self.width))

    def node_tokens(self) -> Tensor:
        """The last token of each node, (nodes,)."""
        return torch.tensor([node[-1] for node in self.nodes], dtype=torch.long)

    def depths(self) -> Tensor:
        """How far behind the text's last token each node stands, less one, (nodes,)."""
        return torch.tensor([len(node) - 1 for node in self.nodes], dtype=torch.long)

    def ancestry(self) -> Tensor:
        """(nodes, nodes) bool: whether the second is the first or stands before it in its path."""
        pairs = [[node[: len(other)] == other for other in self.nodes] for node in self.nodes]
        return torch.tensor(pairs, dtype=torch.bool).view(len(self.nodes), len(self.nodes))

    def path_tokens(self) -> tuple[Tensor, Tensor]:
        """Tokens (paths, depth), 0 where a path is over, and lengths (paths,)."""
        return _table(self.paths, self.depth), torch.tensor([len(path) for path in self.paths], dtype=torch.long)


def begins_another(labels: Sequence[Tokens]) -> Iterator[tuple[int, int]]:
    """Pairs of labels of which the second begins with all of the first, or is the same."""
    for i, label in enumerate(labels):
        yield from ((i, j) for j, other in enumerate(labels) if i != j and other[: len(label)] == label)


def _table(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.long).view(len(rows), width)
