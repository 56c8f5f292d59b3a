"""A stock PEFT model in the place of a pack of one, trained by PyTorch's own AdamW on the same batches: the referee of our methods.

Shared with our code are the frozen model, the choice of rows and how label scores are read; PEFT computes what the adapter does,
PyTorch the step. A learning rate in units (decision 0009) becomes PEFT's rate: rate · unit, with ε / unit.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import peft
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.shape import Linear, Norm, Shape
from ulpt_search.spaces.space import Training
from ulpt_search.workers.exports.outputs import run_model
from ulpt_search.workers.exports.prompts import TASK_TYPES
from ulpt_search.workers.exports.reading import read
from ulpt_search.workers.exports.stock import quiet
from ulpt_search.workers.model.backbone import Backbone
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.cosine import TEMPERATURE, Cosine
from ulpt_search.workers.model.readouts.encoding import Encoded
from ulpt_search.workers.model.readouts.readout import Readout
from ulpt_search.workers.model.readouts.words import Words
from ulpt_search.workers.training.batches import Batches
from ulpt_search.workers.training.trainer import rate_factor

Site = Linear | Norm
Frozen = dict[str, Tensor]


@dataclass(frozen=True)
class Pair:
    """One of PEFT's parameters and the part of our tensor `name` that it is equal to, but for `offset`."""

    name: str
    parameter: nn.Parameter
    part: Callable[[Tensor], Tensor] = lambda tensor: tensor
    offset: Tensor | float = 0.0

    def expected(self, values: dict[str, Tensor]) -> Tensor:
        """PEFT's parameter as our tensors have it."""
        return (self.part(values[self.name]) + self.offset).reshape(self.parameter.shape)


@dataclass(frozen=True)
class Case:
    """One method that both have, PEFT's config of it, and what of PEFT's belongs to what of ours."""

    method: str
    values: Hyperparameters
    config: Callable[[Backbone, Frozen, Sequence[str]], peft.PeftConfig]
    """From the frozen model, our frozen tensors, and the names of the modules that are touched."""
    pairs: Callable[[Any, Backbone, Frozen], Iterator[Pair]]
    copied: Callable[[Any, Backbone, Frozen], None] = lambda stock, backbone, frozen: None
    """Puts what our method draws and freezes where PEFT's is."""
    families: tuple[str, ...] = ("encoder", "decoder")
    single: bool = False
    """Whether PEFT computes it in float32 on a float64 model: a number without a gradient then follows rounding, and outputs tell."""


class Columns(nn.Module):
    """PREFIX_TUNING's table (n, columns) in pieces, so that keys and values can have rates of their own."""

    def __init__(self, table: nn.Embedding, pieces: int) -> None:
        super().__init__()
        self.pieces = nn.ParameterList([nn.Parameter(piece.detach().clone()) for piece in table.weight.chunk(pieces, -1)])

    @property
    def weight(self) -> Tensor:
        """The table."""
        return torch.cat(list(self.pieces), -1)

    def forward(self, indices: Tensor) -> Tensor:
        """Rows of the table."""
        return self.weight[indices]


class Twin:
    """PEFT's model of a case at our start."""

    def __init__(self, case: Case, backbone: Backbone, pack: Pack, targets: Sequence[str]) -> None:
        (group,) = pack.groups
        frozen = {name: tensor[0] for name, tensor in group.frozen.items()}
        with quiet():
            self.model: Any = peft.get_peft_model(copy.deepcopy(backbone.model), case.config(backbone, frozen, targets)).to(backbone.dtype)
        self.model.eval()
        self._backbone = backbone
        with torch.no_grad():
            case.copied(self.model, backbone, frozen)
        self.pairs = list(case.pairs(self.model, backbone, frozen))
        trained = {id(parameter) for parameter in self.model.parameters() if parameter.requires_grad}
        assert trained == {id(pair.parameter) for pair in self.pairs}, "PEFT trains something that has no part in ours, or the reverse"
        assert sum(pair.parameter.numel() for pair in self.pairs) == len(pack.flat)
        self.set(pack.of_trial(pack.flat, 0))
        rates, units = pack.of_trial(pack.rates, 0), pack.of_trial(pack.units, 0)
        groups = [(pair.parameter, float(rates[pair.name].flatten()[0]), float(units[pair.name].flatten()[0])) for pair in self.pairs]
        self.steps = torch.optim.AdamW([{"params": [p], "lr": r, "eps": 1e-8 / unit} for p, r, unit in groups], weight_decay=0.0)
        self._rates = [rate for _, rate, _ in groups]

    @torch.no_grad()
    def set(self, values: dict[str, Tensor]) -> None:
        """Take our tensors over."""
        for pair in self.pairs:
            pair.parameter.copy_(pair.expected(values))

    def train(self, data: Encoded, readout: Readout, training: Training, *, seed: int) -> list[float]:
        """Take all steps; returns the loss of each."""
        batches = Batches(data.lengths, batch=training.batch)
        return [
            self._step(data, readout, batches.rows(seed=seed, step=step), rate_factor(training, step)) for step in range(training.steps)
        ]

    def _step(self, data: Encoded, readout: Readout, rows: Any, factor: float) -> float:
        for group, rate in zip(self.steps.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        ids, lengths, targets = data.batch(rows.tolist(), pad=0, device=torch.device("cpu"))
        loss = cross_entropy(self.scores(ids, lengths, readout), targets)
        self.steps.zero_grad()
        loss.backward()
        self.steps.step()
        return float(loss.detach())

    def scores(self, ids: Tensor, lengths: Tensor, readout: Readout) -> Tensor:
        """Label scores (rows, labels) of PEFT's own forward pass."""
        mask = (torch.arange(ids.shape[1])[None] < lengths[:, None]).long()
        with quiet():
            found = read(run_model(self.model, {"input_ids": ids, "attention_mask": mask}), mask, self._backbone.family)
        if isinstance(readout, Cosine):
            return normalize(found, dim=-1) @ readout.matrix.T / TEMPERATURE
        assert isinstance(readout, Words)
        return found[:, readout.words]


def at_sites(suffixes: dict[str, str]) -> Callable[[Any, Backbone, Frozen], Iterator[Pair]]:
    """Pairs of tensors `layer.role/name` and the parameters `suffix` of PEFT's module in the place of that site."""

    def pairs(stock: Any, backbone: Backbone, frozen: Frozen) -> Iterator[Pair]:
        present = dict(stock.named_parameters())
        for site in sites(backbone.shape):
            for name, suffix in suffixes.items():
                parameter = present.get(f"base_model.model.{site.name}.{suffix}")
                if parameter is not None:
                    yield Pair(f"{site.key}/{name}", parameter, offset=_offset(suffix, backbone, site))

    return pairs


def sites(shape: Shape) -> tuple[Site, ...]:
    """Everything that a module of PEFT's may stand in the place of."""
    return (*shape.linears, *shape.norms)


def _offset(suffix: str, backbone: Backbone, site: Site) -> Tensor | float:
    """What our differences are added to: a norm's own tensors, the length of a weight's rows."""
    module = backbone.model.get_submodule(site.name)
    if suffix.startswith("ln_tuning_layers"):
        return module.get_parameter(suffix.rpartition(".")[2]).detach()
    return module.get_parameter("weight").detach().norm(dim=1) if "magnitude" in suffix else 0.0


def prompt_like(make: type, **changes: Any) -> Callable[[Backbone, Frozen, Sequence[str]], peft.PeftConfig]:
    """A config of a type that stands in front of the text."""
    return lambda backbone, frozen, targets: make(task_type=TASK_TYPES[backbone.family], **changes)
