"""Changes of linears as stock PEFT adapters: LORA, IA3 and SHIRA, whichever holds them exactly."""

from collections.abc import Sequence

import torch
from peft import IA3Config, LoraConfig, ShiraConfig
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from ...spaces.errors import Failure
from ...spaces.shape import Linear
from ..method import Biases, Dense, Gates, LowRank, NormEffect, Sparse
from ..model.architecture import bias_of, weight_of
from ..model.backbone import Backbone
from ..model.sites import local
from .fused import joined, spread, stacked
from .prompts import TASK_TYPES, Built, Tensors


def low_rank(backbone: Backbone, method: LowRank, values: Tensors) -> Built:
    """LORA at each linear's own rank; with magnitudes, its DoRA."""
    sites = {site: (local(values, site.key), site, _weight(backbone, site)) for site in method.sites(backbone.shape)}
    learnt = {site: method.magnitude(*at) for site, at in sites.items()}
    magnitudes = {site: magnitude for site, magnitude in learnt.items() if magnitude is not None}
    config, tensors = _lora(backbone, {site: method.factors(*at) for site, at in sites.items()}, dora=bool(magnitudes))
    whole = spread(backbone.shape, magnitudes, lambda linear: _weight(backbone, linear).norm(dim=1))
    return config, tensors | {f"base_model.model.{name}.lora_magnitude_vector": m for name, m in whole.items()}


def dense(backbone: Backbone, method: Dense, values: Tensors) -> Built:
    """LORA at the number of rows or columns that a change touches, whichever is smaller."""
    sites = method.sites(backbone.shape)
    return _lora(backbone, {site: _factors(method.delta(local(values, site.key), site, _weight(backbone, site))) for site in sites})


def biases(backbone: Backbone, method: Biases, values: Tensors) -> Built:
    """LORA of rank 1 with zero factors and `lora_bias`: the bias of B is δ. Norms that change too are saved whole."""
    sites = method.sites(backbone.shape)
    zeros = {site: (torch.zeros(site.outputs, 1), torch.zeros(1, site.inputs)) for site in sites}
    whole = whole_norms(backbone, method, values) if isinstance(method, NormEffect) else {}
    learnt = {site: method.bias(local(values, site.key), site) for site in sites}
    config, tensors = _lora(backbone, zeros, biases=learnt, saved=sorted({name.rpartition(".")[0] for name in whole}))
    return config, tensors | {f"base_model.model.{name}": value for name, value in whole.items()}


def whole_norms(backbone: Backbone, method: NormEffect, values: Tensors) -> Tensors:
    """Scale and shift of every changed norm as they are after training, under the names they have in the model."""
    made: Tensors = {}
    for site in method.norms(backbone.shape):
        module = backbone.model.get_submodule(site.name)
        scale, shift = method.affine(local(values, site.key), site)
        made[f"{site.name}.weight"] = module.get_parameter("weight") + (0.0 if scale is None else scale)
        if site.bias:
            made[f"{site.name}.bias"] = module.get_parameter("bias") + (0.0 if shift is None else shift)
    return made


def gates(backbone: Backbone, method: Gates, values: Tensors) -> Built:
    """IA3 where every linear has one gate, which is all that it can hold; LORA of the changed weight and bias elsewhere."""
    pairs = {site: method.gates(local(values, site.key), site) for site in method.sites(backbone.shape)}
    shifts = {site: shift for site in pairs if (shift := method.shift(local(values, site.key), site)) is not None}
    if shifts or any(before is not None and (after is not None or site.share) for site, (before, after) in pairs.items()):
        return _changed(backbone, pairs, shifts)
    first = [site.name for site, (before, _) in pairs.items() if before is not None]
    columns = {site: _column(pair) for site, pair in pairs.items()}
    outer = spread(
        backbone.shape,
        {site: gate for site, gate in columns.items() if site.name not in first},
        lambda linear: torch.ones(linear.outputs, 1),
    )
    inner = {site.name: gate for site, gate in columns.items() if site.name in first}
    config = IA3Config(
        task_type=TASK_TYPES[backbone.family],
        target_modules=[*inner, *outer],
        feedforward_modules=first,
        fan_in_fan_out=_conv1d(backbone),
        inference_mode=True,
    )
    return config, {f"base_model.model.{name}.ia3_l": gate for name, gate in {**inner, **outer}.items()}


def sparse(backbone: Backbone, method: Sparse, values: Tensors) -> Built:
    """SHIRA, filled up with zeros at (0, 0) to the r·(in + out) entries it insists on; LORA where it cannot have so many."""
    found = {site: method.entries(local(values, site.key), site) for site in method.sites(backbone.shape)}
    entries = {linear: joined(linear, found) for linear in backbone.shape.whole(found)}
    rank = max(-(-len(delta) // (site.inputs + site.outputs)) for site, (_, _, delta) in entries.items())
    if _conv1d(backbone) or any(rank * (site.inputs + site.outputs) > site.inputs * site.outputs for site in entries):
        return _lora(backbone, {site: _factors(_filled(site, *entry)) for site, entry in entries.items()})
    names, tensors = [site.name for site in entries], {}
    for site, (rows, columns, delta) in entries.items():
        room = rank * (site.inputs + site.outputs) - len(delta)
        base = f"base_model.model.{site.name}"
        tensors[f"{base}.shira_weight"] = torch.cat([delta, torch.zeros(room)])
        tensors[f"{base}.shira_indices"] = torch.cat([torch.stack([rows, columns]), torch.zeros(2, room, dtype=rows.dtype)], 1)
    return ShiraConfig(task_type=TASK_TYPES[backbone.family], r=rank, target_modules=names, inference_mode=True), tensors


def _lora(
    backbone: Backbone,
    pairs: dict[Linear, tuple[Tensor, Tensor]],
    *,
    biases: dict[Linear, Tensor] | None = None,
    saved: Sequence[str] = (),
    dora: bool = False,
) -> Built:
    """LORA of factors B and A, scaling included, and learnt biases; the modules `saved` are saved whole.

    Parts of one module stand in it one behind the other, so that its rank is the sum of theirs.
    """
    whole = {linear.name: stacked(linear, pairs) for linear in backbone.shape.whole(pairs)}
    ranks = {name: a.shape[0] for name, (_, a) in whole.items()}
    config = LoraConfig(
        task_type=TASK_TYPES[backbone.family],
        r=max(ranks.values()),
        lora_alpha=max(ranks.values()),
        target_modules=list(ranks),
        rank_pattern=ranks,
        alpha_pattern=dict(ranks),
        fan_in_fan_out=_conv1d(backbone),
        lora_bias=biases is not None,
        modules_to_save=list(saved) or None,
        use_dora=dora,
        inference_mode=True,
    )
    tensors = {f"base_model.model.{name}.lora_A.weight": a for name, (_, a) in whole.items()}
    tensors |= {f"base_model.model.{name}.lora_B.weight": b for name, (b, _) in whole.items()}
    behind = spread(backbone.shape, biases or {}, lambda linear: torch.zeros(linear.outputs))
    return config, tensors | {f"base_model.model.{name}.lora_B.bias": bias for name, bias in behind.items()}


def _changed(backbone: Backbone, pairs: dict[Linear, tuple[Tensor | None, Tensor | None]], shifts: dict[Linear, Tensor]) -> Built:
    """`g_out ⊙ (W (g_in ⊙ x) + β + δ)` as a change of W and, where there is one, of β."""
    whole = {site: (_or_ones(before, site.inputs), _or_ones(after, site.outputs)) for site, (before, after) in pairs.items()}
    factors = {site: _factors((after[:, None] * before - 1) * _weight(backbone, site)) for site, (before, after) in whole.items()}
    if not any(site.bias for site in pairs):
        return _lora(backbone, factors)
    plain = {site: _bias(backbone, site) for site in whole}
    biases = {site: after * (plain[site] + shifts.get(site, 0.0)) - plain[site] for site, (_, after) in whole.items()}
    return _lora(backbone, factors, biases=biases)


def _factors(delta: Tensor) -> tuple[Tensor, Tensor]:
    """B and A of a change (outputs, inputs), exact: its rows or its columns that are not zero, and where they belong."""
    rows, columns = _touched(delta), _touched(delta.T)
    if len(rows) <= len(columns):
        return torch.eye(len(delta))[:, rows], delta[rows]
    return delta[:, columns], torch.eye(delta.shape[1])[columns]


def _touched(delta: Tensor) -> Tensor:
    """Numbers of the rows that are not zero; the first where all are, since LORA has no rank 0."""
    found = delta.any(1).nonzero()[:, 0]
    return found if len(found) else torch.zeros(1, dtype=torch.int64)


def _filled(site: Linear, rows: Tensor, columns: Tensor, delta: Tensor) -> Tensor:
    return torch.zeros(site.outputs, site.inputs).index_put((rows, columns), delta)


def _column(pair: tuple[Tensor | None, Tensor | None]) -> Tensor:
    before, after = pair
    if before is not None:
        return before[None, :]
    if after is None:
        raise Failure(f"export: a gated linear without a gate: {pair!r}")
    return after[:, None]


def _or_ones(gate: Tensor | None, width: int) -> Tensor:
    return torch.ones(width) if gate is None else gate


def _conv1d(backbone: Backbone) -> bool:
    return any(isinstance(module, Conv1D) for module in backbone.model.modules())


def _weight(backbone: Backbone, site: Linear) -> Tensor:
    return weight_of(backbone.model.get_submodule(site.name), site).detach()


def _bias(backbone: Backbone, site: Linear) -> Tensor:
    bias = bias_of(backbone.model.get_submodule(site.name), site)
    return torch.zeros(site.outputs) if bias is None else bias.detach()
