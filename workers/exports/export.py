"""From a stored trial to a folder on disk that has been loaded again and found to do what the trained adapter does."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from ...spaces.errors import Failure, WrongInput, reason
from ...spaces.records import Assignment, Trial
from ...spaces.space import BITS, Setup
from ..catalogue import count, has_prefix, parts, require_same_count
from ..method import Pooled
from ..model.backbone import Backbone, load, quiet
from ..model.fitting import fit_task
from ..model.former_scores import refuse_moved
from ..model.pack import Pack, build_parts
from ..model.quantised import bytes_held, float_bytes
from ..model.readouts.asking import shape_for
from ..model.readouts.choice import for_task, readout_of
from ..model.readouts.encoding import encode
from ..model.written_text import limits_of
from ..tasks import Task, load_task
from ..training.memory_here import SPARE, free
from ..training.provenance import from_metadata, identity_of, of_study
from ..training.store import AdapterStore
from ..training.worker import frozen_digest, restore_from
from . import heads, merged, readme, scorer, stock
from .base_files import copy_tokenizer, holds_few_bits, revision
from .card import MINILM, Card
from .evidence import sketch
from .forms import forms_of, reading_of
from .outputs import asked, trained_reading
from .outside import manifest, tensors_of
from .placing import aside, claim, place
from .probing import base_style, evidence_of
from .reloading import Fresh
from .room import COPIES, memory_of, require_room
from .stock_process import stock_model
from .verify import verify

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Exported:
    """What `export --json` prints."""

    path: str
    format: str
    trial: int
    trainable_parameters: int
    effect: float
    """Euclidean norm of what the adapter changes where labels are read, over the probe rows."""
    proof: str
    """The difference between the trained adapter and the reloaded one, beside the effect and the noise."""
    note: str
    """What a reader should know about the proof; empty where there is nothing."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def export(
    setup: Setup, trial: Trial, digest: str, *, style: str | None = None, out: Path, fresh: Fresh | None = None, force: bool = False
) -> Exported:
    """Write the adapter that a trial's state `digest` holds as `style` (native, peft or merged) into the folder `out`.

    Without a style, as the one that most programs load of those that hold it exactly.

    With `force`, `out` may hold an earlier export, which stays until the new one is proven; no other file there is touched.

    The folder is reloaded in a fresh process (`fresh`, to share one among several exports) and verified before it appears under
    its name. Raises `WrongInput` where the format cannot hold the trial or `out` is taken, `Failure` where the proof fails or has no room.
    """
    folder = claim(out, force=force)
    require_room(memory_of(setup.model, style or "peft"))
    backbone = load(replace(setup.model, dtype="float32", device="cpu"))
    task = fit_task(load_task(setup.task), backbone, max_tokens=setup.task.max_tokens)
    style = _possible(setup, backbone, task, trial, style)
    require_room((COPIES[style] - 1) * bytes_held(backbone.model))
    try:
        with aside(folder) as made, contextlib.nullcontext(fresh) if fresh else Fresh() as process:
            report = _write_and_prove(setup, backbone, task, trial, digest, style=style, folder=made, out=folder, fresh=process)
            place(made, folder)
    except OSError as error:
        raise Failure(f"export: cannot write {out}: {reason(error)}") from error
    return replace(report, path=str(out))


def _possible(setup: Setup, backbone: Backbone, task: Task, trial: Trial, style: str | None) -> str:
    """The style asked for, or the best; `WrongInput` where that, or the trial itself today, would not compute what was trained."""
    shape = shape_for(backbone.shape, task)
    require_same_count("export", trial, count(trial.method, trial.hyperparameters, shape))
    reading = reading_of(task, shape, max_tokens=setup.task.max_tokens, tokenizer=lambda: backbone.tokenizer)
    found = forms_of(trial.method, trial.hyperparameters, shape, reading)
    if style is not None and style not in found.exact:
        raise WrongInput(f"export: this {trial.method} has no exact {style} form: {found.why_not(style)}")
    return style or found.best


def _write_and_prove(
    setup: Setup, backbone: Backbone, task: Task, trial: Trial, digest: str, *, style: str, folder: Path, out: Path, fresh: Fresh
) -> Exported:
    store = AdapterStore(setup.store, patience=setup.patience)
    identity = identity_of(backbone, task, max_tokens=setup.task.max_tokens)
    backbone = for_task(of_study(setup, backbone, identity), task)
    pack, _, _ = restore_from(backbone, store, [Assignment(trial, 0, digest)])
    _, stored = store.get(digest)
    if from_metadata(stored) is None:
        what, prefixes = f"export: trial {trial.number}", has_prefix(trial.method)
        refuse_moved(what, backbone, task, max_tokens=setup.task.max_tokens, prefixes=prefixes)
    card = replace(_card(setup, backbone, task, trial, style, out), adapter=digest, step=int(stored["step"]))
    readout = readout_of(backbone, task)
    card = replace(card, max_tokens=readout.room(setup.task.max_tokens, backbone.conventions.room))
    card = _writing(backbone, task, card)
    card = scorer.write(folder, replace(card, identity=from_metadata(stored) or identity), readout)
    card = replace(card, evidence=evidence_of(backbone, pack, task, card, folder, fresh))
    card = _with_note(card, _beside_the_whole(backbone, task, card, folder, fresh))
    card = WRITERS[style](backbone, pack, folder, card)
    if style == "peft":
        stock.name_base(folder, card.hub or card.backbone, card.revision)
    readme.write(folder, card, backbone, start=getattr(backbone.model.config, "decoder_start_token_id", None))
    card = replace(card, files=manifest(folder))
    card.write(folder)
    verdict = verify(folder, model=backbone.source, fresh=fresh, base=None if style == "merged" else backbone)
    if verdict.failed is not None:
        raise Failure(f"export: {style} refused, {verdict.failed.name}: {verdict.failed.detail}; nothing was written")
    said = {check.name: check.detail for check in verdict.checks}
    assert card.evidence is not None
    return Exported(str(folder), style, trial.number, trial.parameters, card.evidence.outputs.effect, said["outputs"], verdict.note)


def _compare(intended: Tensors, written: Tensors) -> None:
    """What was written is what was meant, name by name and bit by bit: outputs alone say little about an adapter that does little."""
    odd = sorted(set(intended) ^ set(written)) or [name for name, tensor in intended.items() if not torch.equal(tensor, written[name])]
    if odd:
        raise Failure(f"export: {len(odd)} tensors were not written as they were trained, e.g. {odd[0]}; nothing was written")


def _as_trained(backbone: Backbone, card: Card, rest: Pack) -> None:
    """`Failure` where the model as it is now, with the `rest` of its adapter, does not compute what the trained adapter did."""
    assert card.evidence is not None, "taken before anything is written"
    data = encode(backbone, card.evidence.rows, max_tokens=card.max_tokens, template=card.template)
    card.evidence.outputs.judge(sketch(trained_reading(backbone, rest, asked(backbone, data, card))), None, what="outputs")


def _with_note(card: Card, noted: str) -> Card:
    """The card with one more thing that a reader should know."""
    assert card.evidence is not None, "taken before anything is written"
    return replace(card, evidence=replace(card.evidence, note="; it ".join(filter(None, (card.evidence.note, noted)))))


def _beside_the_whole(backbone: Backbone, task: Task, card: Card, folder: Path, fresh: Fresh) -> str:
    """How far a base in a few bits is from the same files' whole one, where there is room for that; empty for a whole base."""
    if backbone.quantization == "none" or holds_few_bits(backbone):
        return ""
    trained, size = f"was trained on the base in {BITS[backbone.quantization]} bits ({backbone.quantization})", float_bytes(backbone.model)
    if size > SPARE * free(torch.device("cpu")):
        return f"{trained}; how far that is from the whole one was not measured: it takes {size / 1e9:.1f} GB of memory"
    assert card.evidence is not None, "taken before anything is written"
    data = encode(backbone, card.evidence.rows, max_tokens=card.max_tokens, template=card.template)
    inputs, how = asked(backbone, data, card), base_style(card, backbone.family)
    bits = fresh.outputs(folder, backbone.source, inputs, style=how, quantization=backbone.quantization)["outputs"]
    whole = fresh.outputs(folder, backbone.source, inputs, style=how)["outputs"]
    far = float((bits - whole).abs().max() / whole.abs().max().clamp_min(1e-30))
    return f"{trained}, whose own outputs are {far:.1e} of the largest from the whole one's"


def _native(backbone: Backbone, pack: Pack, folder: Path, card: Card) -> Card:
    tensors, path = pack.of_trial(pack.flat, 0), folder / "adapter.safetensors"
    safetensors.torch.save_file(tensors, path)
    _compare(tensors, tensors_of(path))
    return card


def _peft(backbone: Backbone, pack: Pack, folder: Path, card: Card) -> Card:
    tensors = heads.write_peft(backbone, pack, folder, card.labels)
    copy_tokenizer(backbone, folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model-card template says nothing about this adapter; ours follows
    _compare(tensors, tensors_of(folder / "adapter_model.safetensors"))
    return card


def _merged(backbone: Backbone, pack: Pack, folder: Path, card: Card) -> Card:
    kept = merged.fold(backbone, pack)
    dtype, noted = merged.narrowed(backbone, partial(_as_trained, backbone, card, heads.by_itself(pack)))
    whole = heads.write_merged(backbone, pack, folder, labels=card.labels, max_tokens=card.max_tokens, dtype=dtype)
    intended = whole.model.state_dict()
    if whole is not backbone:
        kept = kept.inside(backbone.model)
    with quiet():
        loaded = stock_model(str(folder), backbone.kind, classifies=card.classifies).state_dict()
    drawn = set(backbone.lacks) - set(intended)  # a pooler that no folder holds and no pass uses
    _compare(intended, {name: tensor for name, tensor in loaded.items() if name not in drawn})
    return _with_note(replace(card, kept=kept), noted)


WRITERS: dict[str, Callable[[Backbone, Pack, Path, Card], Card]] = {"native": _native, "peft": _peft, "merged": _merged}


def _card(setup: Setup, backbone: Backbone, task: Task, trial: Trial, style: Any, out: Path) -> Card:
    methods = parts(trial.method, trial.hyperparameters)
    built = build_parts(0, methods, backbone.shape, trial.seed)
    return Card(
        format=style,
        trial=trial.number,
        method=trial.method,
        hyperparameters=dict(trial.hyperparameters),
        seed=trial.seed,
        trainable_parameters=trial.parameters,
        frozen_sha256=frozen_digest(built),
        backbone=_name(setup, backbone, out),
        revision=MINILM[1] if setup.model.name == "minilm" else revision(backbone),
        backbone_fingerprint=backbone.fingerprint,
        family=backbone.family,
        part=backbone.part,
        quantization=backbone.quantization,
        holds_bits=backbone.quantization != "none" and holds_few_bits(backbone),
        mask=backbone.mask,
        task=task.name,
        labels=task.labels,
        descriptions=task.descriptions,
        metric=task.metric,
        max_tokens=min(setup.task.max_tokens, backbone.conventions.room),
        answers=backbone.shape.answers,
        pooling=next((method.place(backbone.shape) for method in methods if isinstance(method, Pooled)), None),
    )


def _writing(backbone: Backbone, task: Task, card: Card) -> Card:
    """The card with how answers are written, where they are."""
    if task.kind != "generation":
        return card
    train = encode(backbone, task.train, max_tokens=card.max_tokens, template=task.template)
    limits = limits_of(backbone, task.decoding, train)
    return replace(card, template=task.template, new_tokens=limits.tokens, stops=tuple(sorted(limits.stops)), stop_texts=limits.texts)


def _name(setup: Setup, backbone: Backbone, out: Path) -> str:
    """How the card names the frozen model; a folder by its way from the export's, so that both can move together."""
    if setup.model.name == "minilm" or not Path(backbone.source).is_dir():
        return setup.model.name
    way = os.path.relpath(backbone.source, out)
    return way if way.startswith(".") else f"./{way}"
