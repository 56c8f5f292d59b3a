"""A training step never waits for the device: no value of a tensor is read back, which on a GPU would stop the queue of kernels.

There is no GPU in a test run, but the operations that wait are the same ones on a CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import catalogue, count, method, rule
from ulpt_search.workers.readout import encode
from ulpt_search.workers.updates.adamw import AdamW

from . import toy, zoo

WAITING = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_unique2"}
METHODS = sorted(name for name, own in catalogue().items() if own.packable)


class Listener(TorchDispatchMode):
    """Notes the operations whose result the host has to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.listening = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name == "index" and any(t is not None and t.dtype == torch.bool for t in args[1])
        if self.listening and (name in WAITING or masked):
            self.heard.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def inside_steps(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen while the training rule takes its step: both passes and the optimiser."""
    step = AdamW.step

    def heard(*args: Any) -> Any:
        listener.listening = True
        try:
            return step(*args)
        finally:
            listener.listening = False

    monkeypatch.setattr(AdamW, "step", heard)
    with listener:
        yield


def train(family: str, configs: list[toy.Config], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    backbone, listener = zoo.backbone(family), Listener()
    run, data = toy.trainer(backbone, steps=3), encode(backbone, toy.rows(), max_tokens=32)
    pack, follow = toy.pack(backbone, configs), rule(*configs[0][:2])
    with inside_steps(listener, monkeypatch):
        run.train(pack, follow, follow.start(pack), [seed for _, _, seed in configs], data, start=0, stop=3)
    return listener.heard


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", ["encoder", "decoder"])
def test_a_step_reads_nothing_back(family: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = method(name).defaults()
    try:
        count(name, values, zoo.backbone(family).shape)
    except WrongInput as reason:
        pytest.skip(str(reason))
    heard = train(family, [(name, values, 1), ("lora", {"rank": 1}, 2), (name, values, 3)], monkeypatch)
    assert heard == []


def test_the_listener_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    own = AdamW.step

    def curious(*args: Any) -> Any:
        losses = own(*args)
        assert float(losses[0]) > 0
        return losses

    monkeypatch.setattr(AdamW, "step", curious)
    assert train("encoder", [("lora", {}, 0)], monkeypatch)
