"""One of PEFT's tuners as a method: its config's settings are the hyperparameters, beside `lr`, `layers` and `modules`."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, make_dataclass, replace
from functools import cache, lru_cache
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ...spaces.axes import Axis, Choice, Float
from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ...spaces.space import BITS
from ..configurable import file_name
from ..method import LAYERS, Method, Tensors, hyperparameter
from .kinds import STORED, kind_of, usable
from .settings import Setting, settings
from .skeleton import Start, Target, on_skeleton, start_of
from .wrapping import injected, refusing, trainable

MODULES = Choice(("q,v", "v", "down"))
NORMS = ("LN_TUNING",)
"""Types whose targets are norms."""
STORED_ALPHA = 16
"""What `peft_lora` began with."""


@dataclass(frozen=True)
class PeftTuner(Method):
    """One of PEFT's tuners."""

    formula: ClassVar[str] = "what PEFT reports"
    citation: ClassVar[str] = "PEFT's own implementation"
    exports: ClassVar[tuple[str, ...]] = ("native", "peft")
    packable: ClassVar[bool] = False
    kind: ClassVar[str] = ""
    stored: ClassVar[bool] = False
    """Whether it goes by the name of older studies (`peft_loha`), and starts as it did then."""
    own: ClassVar[Mapping[str, Setting]] = {}
    modules: ClassVar[str] = "q,v"

    lr: float = hyperparameter(3e-3, Float(1e-5, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)

    @property
    def name(self) -> str:
        """Its name in spaces."""
        return file_name(type(self))

    def targets(self, shape: Shape) -> tuple[Target, ...]:
        """The modules that PEFT wraps: the linears named by `layers` and `modules`, or the norms of the layers; `WrongInput` if none.

        Of a fused linear, PEFT wraps the whole.
        """
        if self.kind not in NORMS:
            return shape.whole(shape.select(layers=self.layers, modules=self.modules))
        norms = tuple(norm for norm in shape.norms if norm.layer in shape.select_layers(self.layers))
        if not norms:
            raise WrongInput(f"{self.name}: this model has no norm with a learnt scale in layers {self.layers!r}")
        return norms

    def config(self, targets: tuple[Target, ...]) -> Any:
        """PEFT's config of these modules, its defaults where nothing else was asked for."""
        given = {name: getattr(self, name) for name, setting in self.own.items() if setting.given(getattr(self, name))}
        beside = {"target_modules": [target.name for target in targets], **_beside(self, targets, given)}
        with refusing(self.name):
            return usable()[self.kind](**given, **beside)

    def parameters(self, shape: Shape) -> int:
        """What PEFT reports for the wrapped modules, whatever the learning rate; `WrongInput` on weights in a few bits."""
        bits = BITS.get(shape.handling.quantization)
        if bits is not None:
            start = f"PEFT's own start is not proven on weights in {bits} bits"
            raise WrongInput(f"{self.name}: {start}; take lora, or model.quantization: none")
        return _count(replace(self, lr=0.0), shape)

    def adds(self, shape: Shape) -> bool:
        """Whether the tensors stand for what is added to PEFT's own start, since that follows from the frozen weights."""
        return not self.stored and _start(replace(self, lr=0.0), shape).reads

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """PEFT's own initial values under PEFT's names, or zeros (see `adds`), and the seed of the global stream that PEFT draws from."""
        seed, targets = int(torch.randint(2**31, (), generator=generator)), self.targets(shape)
        made = on_skeleton(targets, self.config(targets), name=self.name, seed=seed, device="cpu")
        drawn = {name: parameter.detach().float().clone() for name, parameter in made.items()}
        if self.adds(shape):
            drawn = {name: torch.zeros_like(tensor) for name, tensor in drawn.items()}
        return Tensors(drawn, {"seed": torch.tensor(seed)})

    def around(self, model: nn.Module, shape: Shape, seed: int) -> AbstractContextManager[nn.Module]:
        """Let PEFT wrap its modules of `model` for a while."""
        targets = self.targets(shape)
        return injected(model, [target.name for target in targets], self.config(targets), name=self.name, seed=seed)


@cache
def tuner(name: str) -> type[PeftTuner]:
    """Return the method of a name such as `peft:loha`; `WrongInput` where PEFT has no such type or it cannot be used here."""
    kind, stored = kind_of(name), name.startswith(STORED)
    own = {key: setting for key, setting in settings(usable()[kind]).items() if not hasattr(PeftTuner, key)}
    found: list[Any] = [(key, type(setting.default), hyperparameter(setting.default, _axis(setting, kind))) for key, setting in own.items()]
    if stored or kind not in NORMS:
        found.insert(0, ("modules", str, hyperparameter("q,v", MODULES)))
    about = {"kind": kind, "stored": stored, "own": own, "__doc__": f"PEFT's {kind}.", "__module__": f"{__name__}.{name}"}
    return make_dataclass(kind, found, bases=(PeftTuner,), frozen=True, namespace=about)


def to_peft(model: nn.Module, shape: Shape, method: PeftTuner, values: Mapping[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Return PEFT's config and state dict of a trained adapter, as PEFT itself names it."""
    import peft

    with method.around(model, shape, int(values["seed"])) as wrapped, torch.no_grad():
        for name, parameter in trainable(wrapped).items():
            parameter.copy_(parameter + values[name] if method.adds(shape) else values[name])
        state = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(wrapped).items()}
    return method.config(method.targets(shape)), state


def _axis(setting: Setting, kind: str) -> Axis:
    """A setting's axis; TinyLoRA's rank decides nothing of its count."""
    return Choice((setting.default,), quiet=True) if (kind, setting.name) == ("TINYLORA", "r") else setting.axis


def _beside(method: PeftTuner, targets: tuple[Target, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """What else a config needs so that its settings fit together."""
    match method.kind:
        case "FROD":
            return {"progressbar": False}
        case "OFT" if given.get("r"):
            return {"oft_block_size": 0} if "oft_block_size" not in given else {}
        case "IA3":
            return {"feedforward_modules": [] if method.stored else [target.name for target in targets if target.role == "down"]}
        case "LORA" if method.stored and "lora_alpha" not in given:
            return {"lora_alpha": STORED_ALPHA}
    return {}


@lru_cache(maxsize=1024)
def _count(method: PeftTuner, shape: Shape) -> int:
    """Trainable elements on a skeleton without memory; with memory for the few types that look at the weights."""
    targets = method.targets(shape)
    config = method.config(targets)
    if _start(method, shape).writes:
        raise WrongInput(f"{method.name}: these settings change the frozen weights themselves, which all trials share; use others")
    try:
        made = on_skeleton(targets, config, name=method.name, seed=0, device="meta")
    except WrongInput:
        made = on_skeleton(targets, config, name=method.name, seed=0, device="cpu")
    return sum(parameter.numel() for parameter in made.values())


@lru_cache(maxsize=1024)
def _start(method: PeftTuner, shape: Shape) -> Start:
    """How the start depends on the weights, tried on the first module alone where PEFT can do with one."""
    targets = method.targets(shape)
    try:
        return start_of(targets[:1], method.config(targets[:1]), name=method.name)
    except WrongInput:
        return start_of(targets, method.config(targets), name=method.name)
