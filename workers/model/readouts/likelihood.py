"""Language models: the log-likelihood of all tokens of a label, given the text.

score_c = Σ_i log P(y_i | x, y_1 … y_{i-1})  (sum), the same over the number of tokens (mean)        y the tokens of label c

Where labels are single tokens, one place tells all of them. Else a decoder reads the text and, behind it, a tree of the labels'
beginnings, each of which sees the text and its own branch; where the family's attention cannot do that, one sequence for every path
through the tree. Both give the same numbers. An encoder-decoder encodes once and decodes every path.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from ..backbone import Backbone
from ..branches import Branches, branching
from .answers import Answers
from .label_tree import LabelTree, Reads
from .readout import Pair, Readout, precise
from .start import empty_text
from .texts import Texts
from .wording import Wording

NODES = 128
"""Tokens of the tree in one sequence, about: attention costs their square, texts are read anew for every bundle of labels."""
PROBE = (11, 6)
"""Lengths of two texts on which both ways must agree before the faster one is taken."""
AGREEMENT = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Largest difference of log-likelihoods there, relative to the largest."""


class Likelihood(Readout):
    """`tree` are the labels' tokens; `packed` says whether their beginnings stand in one sequence."""

    about: ClassVar[str] = "log-likelihood of all tokens of each label"

    def __init__(self, backbone: Backbone, wording: Wording) -> None:
        self._backbone, self.wording, self.tree = backbone, wording, LabelTree(wording.tokens)
        sizes = torch.tensor(self.tree.sizes, dtype=torch.float32, device=backbone.device)
        self._lengths = sizes if wording.scoring == "mean" else torch.ones_like(sizes)
        self._answers = Answers(backbone)
        self._tables = _Tables(self.tree, backbone.device)
        self._bundles = [_Tables(tree, backbone.device, labels) for labels, tree in self.tree.bundles(NODES)]
        self.packed = self._answers.head is not None and bool(self.tree.nodes) and self._can_pack()
        self.prior: Tensor | None = None
        if wording.calibrated:
            self.prior = self.plain(*empty_text(backbone)).detach()

    def scores(self, texts: Texts) -> Tensor:
        """Log-likelihoods of all labels."""
        told = self.told(texts)
        return self._calibrated(told.sum(-1) / self._lengths.to(told.dtype))

    def training_scores(self, texts: Texts, targets: Tensor, *, whole: bool = False) -> Tensor:
        """All labels' where they are few, or `whole`; (rows, 1), the right one's alone, where they are many."""
        if whole or not self.wording.many:
            return self.scores(texts)
        tables = self._tables
        paths = tables.path_of[targets]
        logits = precise(self._answers.logits(texts, tables.path_tokens[paths], tables.path_sizes[paths], copies=1))
        tokens, present = tables.alone.tokens[targets], tables.alone.present[targets]
        told = logits.gather(-1, tokens[..., None])[..., 0] - logits.logsumexp(-1)
        return ((told * present).sum(-1) / self._lengths[targets])[:, None]

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy over all labels; of the right one's alone, its negative."""
        if scores.shape[-1] == 1 and len(self.tree.labels) > 1:
            return -scores[:, 0]
        return cross_entropy(scores, targets, reduction="none")

    def plain(self, ids: Tensor, types: Tensor | None, choices: Tensor | None = None, answers: Pair | None = None) -> Tensor:
        """The same of token ids, one sequence a label."""
        told = [self._answers.plain(ids, torch.tensor([label], device=ids.device)).sum() for label in self.tree.labels]
        return self._calibrated(torch.stack(told)[None] / self._lengths.to(told[0].dtype))

    def copies(self, *, training: bool) -> int:
        """Paths that are read one by one, as many as are in one pass."""
        alone = self.packed or (training and self.wording.many)
        return 1 if alone else max(len(bundle.tree.paths) for bundle in self._bundles)

    def tokens(self, length: int, *, training: bool) -> int:
        """With the labels behind, or on the decoder's side: of the largest pass, in training of all, whose activations are kept."""
        if training and self.wording.many:
            return length + self.tree.width
        passes = [self._tokens(length, bundle.tree) for bundle in self._bundles]
        return sum(passes) if training else max(passes)

    def _tokens(self, length: int, tree: LabelTree) -> int:
        if self.packed:
            return length + len(tree.nodes)
        copies = len(tree.paths)
        return copies * (length + tree.depth) if self._answers.head is not None else length + copies * tree.width

    @property
    def behind(self) -> int:
        """Tokens of the longest label but its last, which a decoder has behind the text."""
        return self.tree.depth if self._answers.head is not None else 0

    @property
    def resumes(self) -> bool:
        """Not where labels are read behind the text: what leaves the lower blocks is kept for texts only."""
        return not self.tree.nodes

    @property
    def joins(self) -> bool:
        """Not where rows are copied, or training knows the right label's likelihood alone."""
        return not self.tree.nodes

    def _calibrated(self, scores: Tensor) -> Tensor:
        return scores if self.prior is None else scores - self.prior.to(scores)

    def told(self, texts: Texts) -> Tensor:
        """Log-probability of each label's tokens, (rows, labels, width)."""
        encoded = self._answers.encoded(texts)
        told = [self._told(texts, bundle, encoded) for bundle in self._bundles]
        wide = torch.cat([pad(each, (0, self.tree.width - each.shape[-1])) for each in told], 1)
        return wide[:, torch.cat([bundle.labels for bundle in self._bundles]).argsort()]

    def _told(self, texts: Texts, bundle: "_Tables", encoded: Any) -> Tensor:
        """The same of the labels of one bundle, out of one sequence a row or of one for each row and path."""
        if self.packed:
            return bundle.in_tree.of(precise(self._tree_logits(texts, bundle)))
        copies = len(bundle.tree.paths)
        tokens, sizes = bundle.path_tokens.repeat(len(texts), 1), bundle.path_sizes.repeat(len(texts))
        logits = precise(self._answers.logits(texts, tokens, sizes, copies=copies, encoded=encoded))
        return bundle.in_paths.of(logits.reshape(len(texts), -1, logits.shape[-1]))

    def _tree_logits(self, texts: Texts, tables: "_Tables") -> Tensor:
        """Logits (rows, 1 + nodes, vocabulary) behind the text and behind every node of the tree."""
        ends, (rows, columns) = texts.ends, texts.embeds.shape[:2]
        along = torch.arange(columns + len(tables.nodes), device=ends.device).expand(rows, -1)
        positions = torch.cat([along[:, :columns], ends[:, None] + tables.depths], 1)
        moved = positions if texts.shifts is None else positions + texts.shifts[:, None]
        branches = self._backbone.embed(tables.nodes).to(texts.embeds.dtype).expand(rows, -1, -1)
        given = {
            "inputs_embeds": torch.cat([texts.embeds, branches], 1),
            "attention_mask": ((along < ends[:, None]) | (along >= columns)).long(),
            "position_ids": self._backbone.conventions.places(moved),
        }
        places = torch.cat([ends[:, None] - 1, along[:, columns:]], 1)
        head = self._answers.head
        assert head is not None, "an encoder-decoder packs nothing"
        with branching(Branches(positions, tables.visible(columns))) as self._seen, head.at(places):
            logits: Tensor = self._backbone.model(**given, use_cache=False).logits
        return logits

    @torch.no_grad()
    def _can_pack(self) -> bool:
        """Whether every attention of the family attends by branches, to the numbers of one sequence a path."""
        backbone = self._backbone
        if backbone.conventions.first_position is None or backbone.conventions.room < PROBE[0] + self.tree.depth:
            return False
        lengths = torch.tensor(PROBE, device=backbone.device)
        ids = torch.arange(2 * PROBE[0], device=backbone.device).view(2, -1) % (backbone.shape.vocabulary - 1) + 1
        texts = Texts(backbone.embed(ids), torch.zeros_like(lengths), lengths)
        bundle, self.packed = self._bundles[0], False
        wanted = self._told(texts, bundle, None)
        try:
            found = bundle.in_tree.of(precise(self._tree_logits(texts, bundle)))
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError):
            return False
        everywhere = self._seen.masks > 0 and self._seen.attentions >= backbone.shape.layers
        return everywhere and float((found - wanted).abs().max()) <= AGREEMENT[backbone.dtype] * float(wanted.abs().max())


class _Tables:
    """What a tree of some labels, by their numbers, says as tensors on the model's device."""

    def __init__(self, tree: LabelTree, device: torch.device, labels: Sequence[int] = ()) -> None:
        self.tree, self.labels = tree, torch.tensor(labels, dtype=torch.long, device=device)
        self.in_tree: Reads = tree.in_tree().to(device)
        self.in_paths: Reads = tree.in_paths().to(device)
        self.alone: Reads = tree.alone().to(device)
        self.nodes, self.depths = tree.node_tokens().to(device), tree.depths().to(device)
        self.path_tokens, self.path_sizes = (table.to(device) for table in tree.path_tokens())
        self.path_of = torch.tensor(tree.path_of, device=device)
        self._ancestry = tree.ancestry().to(device)

    def visible(self, columns: int) -> Tensor:
        """(columns + nodes, columns + nodes): the text is visible to all, a node to itself and to what branches off behind it."""
        nodes, device = len(self.nodes), self._ancestry.device
        seen = torch.zeros(columns + nodes, columns + nodes, dtype=torch.bool, device=device)
        seen[:, :columns] = True
        seen[columns:, columns:] = self._ancestry
        return seen
