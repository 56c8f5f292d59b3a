"""What an adapter was trained on: written beside it in the store, and compared before anything goes on from it."""

import json
import platform
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ...spaces.errors import Failure
from ...spaces.identity import Identity, said
from ...spaces.space import ModelSpec, Setup
from ..model.backbone import Backbone, load
from ..model.identity import former_fingerprint, numerics
from ..model.readouts.choice import template_of
from ..tasks import Task
from ..tasks.identity import task_side
from .store import AdapterStore

KEY = "identity"
FORMER_KEY = "backbone"
"""In the metadata of adapters from before there were identities: their model's former fingerprint."""


class Foreign(Failure):
    """This machine's model, task or store is not the study's."""


def identity_of(backbone: Backbone, task: Task, *, max_tokens: int) -> Identity:
    """Return what results of this model on this task rest on."""
    side = task_side(task, template=template_of(backbone, task), max_tokens=max_tokens)
    return Identity(backbone.frozen, side, numerics(backbone.model))


def of_study(setup: Setup, backbone: Backbone, found: Identity) -> Backbone:
    """Return the backbone as the study knows it. Raises `Foreign`, naming what differs, where `found` is not the study's identity."""
    if setup.identity is None:
        return backbone
    told = setup.identity.differences(found)
    if told:
        inputs = f"{setup.model.name} and {setup.task.name} on {platform.node()}"
        raise Foreign(f"{inputs} are not what the study was begun with: {said(told)}; put those there, or start another study")
    return replace(backbone, frozen=replace(backbone.frozen, former=setup.identity.frozen.former))


def require_same_store(setup: Setup, store: AdapterStore) -> None:
    """Raise `Foreign` where the store of this machine is not the driver's."""
    if setup.mark is not None and not store.bears(setup.mark):
        raise Foreign(
            f"the store {setup.store} on {platform.node()} is not the one of this search: what is trained there would be lost; "
            "give --store a folder that every machine shares, or a URL such as s3://bucket/adapters"
        )


def to_metadata(identity: Identity) -> dict[str, str]:
    """What is stored with an adapter."""
    return {KEY: json.dumps(identity.to_json(), sort_keys=True)}


def from_metadata(metadata: Mapping[str, str]) -> Identity | None:
    """Return what a stored adapter was trained on; None where it was stored before there were identities."""
    return Identity.from_json(json.loads(metadata[KEY])) if KEY in metadata else None


def require_own(metadata: Mapping[str, str], backbone: Backbone, digest: str) -> None:
    """Raise `Failure`, naming what differs, where a stored adapter was trained on another frozen model."""
    known = from_metadata(metadata)
    told = said(known.frozen.differences(backbone.frozen)) if known else _other_former(metadata[FORMER_KEY], backbone)
    if told:
        raise Failure(f"adapter {digest[:12]}: trained with {told}; give back the model it was trained on")


def require_same_tensors(stored: Mapping[str, Tensor], built: Mapping[str, Tensor], digest: str) -> None:
    """Raise `Foreign` where a stored trial trained other tensors than its hyperparameters build today: some would be lost, or missing."""
    then, now = ({(name, tuple(tensor.shape)) for name, tensor in own.items()} for own in (stored, built))
    if then != now:
        name, shape = min(then ^ now)
        had = "trained" if (name, shape) in then else "did not train"
        raise Foreign(
            f"adapter {digest[:12]}: {had} {name} of shape {shape}, unlike what its hyperparameters mean on this model today; "
            "use the version it was trained with, or start another --study"
        )


def known_as(spec: ModelSpec, former: str) -> bool:
    """Whether versions before there were identities may have called a model `former`.

    Also true of a model without a pooler in its checkpoint: they drew one at each load, and called the model by it, too.
    """
    backbone = load(ModelSpec(spec.name, dtype="float32", device="cpu"))
    return bool(backbone.lacks) or former_fingerprint(backbone.model) == former


def _other_former(former: str, backbone: Backbone) -> str:
    if former == backbone.frozen.former or known_as(ModelSpec(backbone.source), former):
        return ""
    return f"weights {former[:12]}, not {backbone.frozen.weights}"
