"""Training never waits for the device: no value of a tensor is read back, which on a GPU would stop the queue of kernels.

There is no GPU in a test run, but the operations that wait are the same ones on a CPU. Copies to the host, which do nothing on a CPU,
are heard where Python calls them. The rules `dst`, `light_peft`, `sara` and `sgc` are not held to it: they choose elements as they go.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import catalogue, count, method, rule
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.encoding import encode
from ulpt_search.workers.optimizers.adamw import AdamW
from ulpt_search.workers.tasks import Task

from . import toy, whole_labels, zoo

WAITING = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_unique2"}
READING = {"item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__"}
AT_THE_END = ["cpu"]
"""The mean losses of a stretch of training, once all its steps are in the queue."""
METHODS = sorted(name for name, own in catalogue().items() if own.packable)


class Kernels(TorchDispatchMode):
    """Notes the operations whose result the host has to wait for."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.heard = heard

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name == "index" and any(t is not None and t.dtype == torch.bool for t in args[1])
        if name in WAITING or masked:
            self.heard.append(name)
        return func(*args, **(kwargs or {}))


class Calls(TorchFunctionMode):
    """Notes the calls by which Python gets at values."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self.heard = heard

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in READING:
            self.heard.append(func.__name__)
        return func(*args, **(kwargs or {}))


def train(family: str, configs: list[toy.Config], *, task: Task | None = None) -> list[str]:
    """What is heard in three steps of a pack, from the draw of the rows to the losses."""
    heard: list[str] = []
    backbone = zoo.backbone(family)
    run, data = toy.trainer(backbone, steps=3), encode(backbone, toy.rows(), max_tokens=32)
    run = run if task is None else replace(run, readout=readout_of(backbone, task))
    pack, follow = toy.pack(backbone, configs), rule(*configs[0][:2])
    state = follow.start(pack)
    with Kernels(heard), Calls(heard):
        run.train(pack, follow, state, [seed for _, _, seed in configs], data, start=0, stop=3)
    return heard


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_training_reads_nothing_back(family: str, name: str) -> None:
    values = method(name).defaults()
    try:
        count(name, values, zoo.backbone(family).shape)
    except WrongInput as reason:
        pytest.skip(str(reason))
    assert train(family, [(name, values, 1), ("lora", {"rank": 1}, 2), (name, values, 3)]) == AT_THE_END


@pytest.mark.parametrize("family", ["decoder", "encoder-decoder"])
@pytest.mark.parametrize("count", [3, 40])
def test_labels_of_several_tokens_read_nothing_back(family: str, count: int) -> None:
    """All of a few labels, the right one of many."""
    texts = tuple(f"red w{1 + number // 8} w{number % 8}" for number in range(count))
    assert train(family, [("prompt", {}, 1), ("lora", {}, 2)], task=whole_labels.task(texts)) == AT_THE_END


@pytest.mark.parametrize("name", ["subzero", "senszoq"])
def test_zeroth_order_reads_nothing_back(name: str) -> None:
    assert train("encoder", [(f"lora+{name}", {}, 1), (f"ia3+{name}", {}, 2)]) == AT_THE_END


@pytest.mark.parametrize("read", [float, bool, torch.Tensor.tolist, torch.Tensor.cpu, torch.nonzero])
def test_the_listeners_hear(read: Callable[[torch.Tensor], object], monkeypatch: pytest.MonkeyPatch) -> None:
    own = AdamW.step

    def curious(*args: Any) -> Any:
        losses = own(*args)
        read(losses[0])
        return losses

    monkeypatch.setattr(AdamW, "step", curious)
    assert len(train("encoder", [("lora", {}, 0)])) > len(AT_THE_END)
