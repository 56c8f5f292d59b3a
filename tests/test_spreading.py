"""A model over two devices: nothing that a pass computes mixes them, forward and backward, at every kind of place.

There is no second device here. PyTorch's fake tensors stand for one: they have a device and no numbers, and an operation on tensors of two
devices fails as it would on GPUs. The hooks that carry inputs along are accelerate's own.
"""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorDeviceMismatchError, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from ulpt_search.benchmarks.family_gates import fitting, passed, shaken
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec, Training
from ulpt_search.workers.model.architecture import centres
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.devices import device_of
from ulpt_search.workers.model.pack import Pack
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import Encoded, encode
from ulpt_search.workers.model.sites import Sites
from ulpt_search.workers.model.spreading import places_of, skipped
from ulpt_search.workers.training.trainer import Trainer, bound_values

from . import families, toy
from .test_families import rows

HOME, AWAY = "lazy:0", "lazy:1"
"""Names that PyTorch knows on every machine, with an index each."""
HEAD = ("ia3+head", {"head.init": "zero"}, 5)


def two_devices(backbone: Backbone) -> dict[str, int | str]:
    """Where modules go if the first device takes half of the weights."""
    size = sum(weight.nbytes for weight in backbone.model.parameters())
    places = places_of(backbone.model, backbone.dtype, {0: int(0.6 * size), 1: 2 * size})
    assert set(places.values()) == {0, 1}
    return places


def faked(model: nn.Module, mode: FakeTensorMode, places: dict[str, int | str]) -> None:
    """Put fake tensors in the place of a model's weights and buffers, each on its device."""
    tied: dict[int, nn.Parameter] = {}
    for name, module in model.named_modules():
        place = next((AWAY if at else HOME for part, at in places.items() if name == part or name.startswith(f"{part}.") or not part), HOME)
        for key, weight in [(key, weight) for key, weight in module._parameters.items() if weight is not None]:
            made = nn.Parameter(mode.from_tensor(weight.data).to(place), requires_grad=False)
            module._parameters[key] = tied.setdefault(id(weight), made)
        for key, buffer in [(key, buffer) for key, buffer in module._buffers.items() if buffer is not None]:
            module._buffers[key] = mode.from_tensor(buffer).to(place)


def moved(pack: Pack, mode: FakeTensorMode) -> None:
    """A pack's tensors, where a model's embeddings are."""
    for key in ("flat", "owner", "units", "rates"):
        setattr(pack, key, mode.from_tensor(getattr(pack, key)).to(HOME))
    fake = [{name: mode.from_tensor(tensor).to(HOME) for name, tensor in group.frozen.items()} for group in pack.groups]
    pack.groups = tuple(replace(group, frozen=frozen) for group, frozen in zip(pack.groups, fake, strict=True))


class Indices(TorchDispatchMode):
    """Refuses what fake tensors let pass and GPUs do not: an index on another device than what it is an index of."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_):
            strange = {str(index.device) for index in args[1] if index is not None} - {"cpu", str(args[0].device)}
            assert not strange, f"indices on {strange} of a tensor on {args[0].device}"
        return func(*args, **(kwargs or {}))


def resumed(trainer: Trainer, pack: Pack, data: Encoded) -> torch.Tensor:
    """Scores of a pass that goes on from kept states of the blocks below the pack."""
    backbone = trainer.backbone
    with Sites(backbone.model, backbone.shape, pack.groups, trials=pack.size) as sites:
        batch = trainer._batch(data, [0, 1], blocks=trainer._skippable(sites), device=backbone.device)
        assert batch.blocks > 0
        return trainer._scores(pack, sites, bound_values(pack), batch)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accelerate's hooks find the weights in their places, and checkpoints a module of that device's name."""
    monkeypatch.setattr(torch, "lazy", torch.cpu, raising=False)
    monkeypatch.setattr("accelerate.hooks.set_module_tensor_to_device", lambda *_, **__: None)


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(
    "name", ["llama", "bert", pytest.param("gpt2", marks=pytest.mark.slow), pytest.param("t5", marks=pytest.mark.slow)]
)
def test_no_operation_mixes_devices(name: str) -> None:
    from accelerate.hooks import attach_align_device_hook_on_blocks, remove_hook_from_submodules

    loaded = load(ModelSpec(str(families.folder(name)), dtype="float32", device="cpu"))
    backbone = replace(loaded, shape=replace(loaded.shape, labels=len(toy.task().labels)))
    model, task = backbone.model, toy.task()
    places = two_devices(backbone)
    for norm in backbone.shape.norms:
        centres(model.get_submodule(norm.name))  # found by numbers, once
    data, pack = encode(backbone, rows(), max_tokens=families.POSITIONS), shaken(backbone, [*fitting(backbone), HEAD])
    last = shaken(backbone, [("lora", {"rank": 2, "layers": "last:1", "modules": "all"}, 6)])
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        faked(model, mode, places)
        moved(pack, mode)
        moved(last, mode)
        devices = {part: AWAY if at else HOME for part, at in places.items()}
        attach_align_device_hook_on_blocks(
            model,
            {**devices, "": HOME},
            dict.fromkeys(devices, False),
            skip_keys=skipped(model),
        )
        assert {str(device) for device in backbone.devices} == {HOME, AWAY}
        trainer = Trainer(backbone, readout_of(backbone, task), Training(steps=2, rungs=(2,)))
        with Indices():  # type: ignore[no-untyped-call]
            for again in (False, True, True):  # what carries the inputs along has to outlive blocks that are computed again
                scores, gradient = passed(replace(trainer, checkpointing=again), pack, data, [[0, 1]] * pack.size)
                assert (str(scores.device), str(gradient.device)) == (HOME, HOME)
            if trainer.lower.possible:
                assert str(resumed(trainer, last, data).device) == HOME
        remove_hook_from_submodules(model)
        with pytest.raises(FakeTensorDeviceMismatchError):
            passed(trainer, pack, data, [[0, 1]] * pack.size)


def test_one_gpu_cannot_be_split_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(WrongInput, match=r"^model.device: split is over two GPUs or more, but PyTorch sees 1 here; give --gpus"):
        device_of("split")
