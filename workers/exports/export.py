"""From a stored trial to a folder on disk that has been loaded again and found equal."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch

from ...spaces.errors import Failure, WrongInput
from ...spaces.records import Assignment, Trial
from ...spaces.shape import Shape
from ...spaces.space import Setup
from ..catalogue import parts
from ..model.backbone import Backbone, load
from ..model.pack import Pack, build_parts
from ..model.verbalizer import Verbalizer, encode
from ..tasks import Task, load_task
from ..training.store import AdapterStore
from ..training.trainer import bound_values
from ..training.worker import frozen_digest, restore_from
from . import merged, scorer, stock
from .card import Card, is_export
from .outputs import probe, trained_outputs
from .reloading import Fresh

TOLERANCE = 1e-4
"""Largest difference of outputs, relative to the largest output, that float32 summation order may cause."""


@dataclass(frozen=True)
class Exported:
    """What `export --json` prints."""

    path: str
    format: str
    trial: int
    trainable_parameters: int
    max_abs_logit_difference: float
    """Largest difference between the trained adapter and the reloaded one: logits (language models) or last hidden state."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def formats(trial: Trial, shape: Shape) -> tuple[str, ...]:
    """The formats that represent a trial exactly on a model of this shape."""
    return stock.formats(parts(trial.method, trial.hyperparameters), shape)


def export(setup: Setup, trial: Trial, digest: str, *, style: str, out: Path, fresh: Fresh | None = None, force: bool = False) -> Exported:
    """Write the adapter that a trial's state `digest` holds as `style` (native, peft or merged) into the new folder `out`.

    With `force`, `out` may hold an earlier export, which stays until the new one is proven.

    The folder is reloaded in a fresh process (`fresh`, to share one among several exports) and its outputs compared before it
    appears under its name. Raises `WrongInput` where the format cannot hold the trial or `out` is taken, `Failure` where the
    outputs differ.
    """
    if out.exists() and not (force and is_export(out)) and (not out.is_dir() or any(out.iterdir())):
        way_out = "add --force to replace that export, or choose another --out" if is_export(out) else "choose another --out"
        raise WrongInput(f"export: {out} exists and is not empty; {way_out}")
    backbone = load(replace(setup.model, dtype="float32", device="cpu"))
    possible = formats(trial, backbone.shape)
    if style not in possible:
        raise WrongInput(f"export: this {trial.method} has no exact {style} form; it has {', '.join(possible)}")
    aside = out.parent / f".{out.name}.unproven"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        with contextlib.nullcontext(fresh) if fresh else Fresh() as process:
            difference = _write_and_prove(setup, backbone, trial, digest, style=style, folder=aside, fresh=process)
        _put(aside, out)
    except OSError as error:
        raise Failure(f"export: cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Exported(str(out), style, trial.number, trial.parameters, difference)


def _put(made: Path, out: Path) -> None:
    """Give the folder `made` its name `out`, whatever export or empty folder has it now."""
    old = out.parent / f".{out.name}.replaced"
    shutil.rmtree(old, ignore_errors=True)
    if out.is_dir():
        out.replace(old)
    made.replace(out)
    shutil.rmtree(old, ignore_errors=True)


def _write_and_prove(setup: Setup, backbone: Backbone, trial: Trial, digest: str, *, style: str, folder: Path, fresh: Fresh) -> float:
    task = load_task(setup.task)
    pack, _, _ = restore_from(backbone, AdapterStore(setup.store), [Assignment(trial, 0, digest)])
    verbalizer = Verbalizer(backbone, task)
    inputs = probe(encode(backbone, task.validation, max_tokens=setup.task.max_tokens), pad=int(backbone.tokenizer.pad_token_id or 0))
    wanted = trained_outputs(backbone, pack, inputs)
    card = _card(setup, backbone, task, trial, style)
    WRITERS[style](backbone, pack, trial, folder)
    scorer.write(folder, card, verbalizer)
    found = fresh.outputs(folder, backbone.source, inputs, style=f"{style}:{backbone.family}")
    difference = float((found - wanted).abs().max()) if found.shape == wanted.shape else float("inf")
    if not difference <= TOLERANCE * max(1.0, float(wanted.abs().max())):
        raise Failure(f"export: the reloaded {style} adapter differs from the trained one by {difference:.2e}; nothing was written")
    return difference


def _native(backbone: Backbone, pack: Pack, trial: Trial, folder: Path) -> None:
    safetensors.torch.save_file(pack.of_trial(pack.flat, 0), folder / "adapter.safetensors")


def _peft(backbone: Backbone, pack: Pack, trial: Trial, folder: Path) -> None:
    (group,) = pack.groups
    values = {name: value[0].detach() for name, value in bound_values(pack)[0].items()}
    stock.write(backbone, stock.to_peft(backbone, group.method, values), folder)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model-card template says nothing about this adapter; ours follows


def _merged(backbone: Backbone, pack: Pack, trial: Trial, folder: Path) -> None:
    merged.write(backbone, pack, folder)


WRITERS: dict[str, Callable[[Backbone, Pack, Trial, Path], None]] = {"native": _native, "peft": _peft, "merged": _merged}


def _card(setup: Setup, backbone: Backbone, task: Task, trial: Trial, style: str) -> Card:
    built = build_parts(0, parts(trial.method, trial.hyperparameters), backbone.shape, trial.seed)
    return Card(
        format=style,
        trial=trial.number,
        method=trial.method,
        hyperparameters=dict(trial.hyperparameters),
        seed=trial.seed,
        trainable_parameters=trial.parameters,
        frozen_sha256=frozen_digest(built),
        backbone=setup.model.name if setup.model.name == "minilm" else backbone.source,
        backbone_fingerprint=backbone.fingerprint,
        family=backbone.family,
        task=task.name,
        labels=task.labels,
        descriptions=task.descriptions,
        metric=task.metric,
        max_tokens=setup.task.max_tokens,
    )
