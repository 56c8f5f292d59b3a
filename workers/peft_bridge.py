"""Every adapter type of PEFT that we have no method for: `peft_<type>` is built by PEFT's own code and trained as a pack of one.

`peft_loha`, `peft_oft`, `peft_road` … have the axes `lr`, `layers`, `modules` and those sizes of PEFT's config that decide
its count; everything else keeps PEFT's default. Counted on a skeleton of the chosen linears on the meta device.
Types that only work with more than a frozen model and a task (POLY's task ids, XLORA's adapters) are refused with PEFT's reason.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, make_dataclass, replace
from functools import cache, lru_cache
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ..spaces.axes import Axis, Choice, Float, Int
from ..spaces.errors import WrongInput, did_you_mean, reason
from ..spaces.shape import Linear, Shape
from .method import LAYERS, Method, Tensors, hyperparameter

PREFIX = "peft_"
NOT_ALONE = {"BOFT", "POLY", "XLORA", "SHADOW", "TRAINABLE_TOKENS", "OSF", "ADALORA", "ADAMSS"}
"""Types that need a compiler, task ids, trained adapters, a second model, chosen tokens, the weights themselves or a call after every
step, or whose count depends on the values of the weights."""
SIZES: dict[str, Axis] = {
    "r": Int(1, 16, log=True),
    "n_frequency": Int(10, 2000, log=True),
    "theta_d_length": Int(16, 4096, log=True),
    "oft_block_size": Choice((4, 8, 16)),
    "block_size": Choice((8, 16, 4)),
    "group_size": Choice((4, 8, 16)),
    "num_vectors": Int(16, 256, log=True),
    "vector_length": Choice((4, 8, 16)),
    "mini_r": Choice((1, 2)),
    "num_subspaces": Int(1, 5),
    "sparsity": Float(0.5, 0.999),
}
"""Fields of PEFT's configs that decide a count, with the axis and, first or smallest, the value that we start from."""
ZERO = {"oft_block_size": {"r": 0}}
"""Fields that PEFT wants given another value where one is chosen: OFT takes a block size or a number of blocks."""


@dataclass(frozen=True)
class PeftTuner(Method):
    """One of PEFT's tuners."""

    formula: ClassVar[str] = "what PEFT reports"
    citation: ClassVar[str] = "PEFT's own implementation"
    exports: ClassVar[tuple[str, ...]] = ("native", "peft")
    packable: ClassVar[bool] = False
    kind: ClassVar[str] = ""

    lr: float = hyperparameter(3e-3, Float(1e-5, 0.1, log=True), structural=False)
    layers: str = hyperparameter("all", LAYERS)
    modules: str = hyperparameter("q,v", Choice(("q,v", "v", "down")))

    def sites(self, shape: Shape) -> tuple[Linear, ...]:
        """The linears named by `layers` and `modules`."""
        return shape.select(layers=self.layers, modules=self.modules)

    def targets(self, shape: Shape) -> tuple[str, ...]:
        """Names of the modules that PEFT wraps: linears, or norms for LN_TUNING."""
        if self.kind == "LN_TUNING":
            chosen = shape.select_layers(self.layers)
            return tuple(norm.name for norm in shape.norms if norm.layer in chosen)
        return tuple(site.name for site in self.sites(shape))

    def config(self, targets: tuple[str, ...]) -> Any:
        """PEFT's config."""
        return _config(self, targets)

    def parameters(self, shape: Shape) -> int:
        """What PEFT reports for the wrapped modules, whatever the learning rate."""
        return _count(replace(self, lr=0.0), shape)

    def build(self, shape: Shape, generator: Generator) -> Tensors:
        """PEFT's own initial values under PEFT's names, and the seed of the global stream that PEFT draws from."""
        seed = int(torch.randint(2**31, (), generator=generator))
        drawn = {name: parameter.detach().float().clone() for name, parameter in _on_skeleton(self, shape, seed, device="cpu").items()}
        return Tensors(drawn, {"seed": torch.tensor(seed)})


@cache
def tuner(name: str) -> type[PeftTuner]:
    """Return the method of a name such as `peft_loha`; `WrongInput` where PEFT has no such type or it cannot be used here."""
    kinds = types()
    kind = name.removeprefix(PREFIX).upper()
    if kind not in kinds:
        known = [f"{PREFIX}{kind.lower()}" for kind in kinds]
        raise WrongInput(
            f"methods.{name}: PEFT has no such tuner of frozen modules; there are {', '.join(known)}.{did_you_mean(name, known)}"
        )
    given = {f.name for f in fields(kinds[kind])}
    own: list[Any] = [
        (size, type(_first(axis)), hyperparameter(_first(axis), axis)) for size, axis in SIZES.items() if _sized(kind, size, given)
    ]
    own_names = {"kind": kind, "__doc__": f"PEFT's {kind}.", "__module__": f"{__name__}.{name}"}
    return make_dataclass(kind, own, bases=(PeftTuner,), frozen=True, namespace=own_names)


@cache
def types() -> dict[str, type]:
    """PEFT's types that wrap modules of a frozen model -> their config classes."""
    with _quiet():
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
        from peft.tuners.tuners_utils import BaseTuner
    wraps = [kind for kind, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items() if issubclass(tuner, BaseTuner) and kind.value not in NOT_ALONE]
    return {kind.value: PEFT_TYPE_TO_CONFIG_MAPPING[kind] for kind in wraps}


@contextmanager
def injected(model: nn.Module, shape: Shape, method: PeftTuner, seed: int) -> Iterator[nn.Module]:
    """Let PEFT wrap modules of `model`, drawing from `seed`; yields PEFT's model, and unwraps at the end."""
    targets = method.targets(shape)
    before = {name: model.get_submodule(name) for name in targets}
    known, training = set(vars(model)), model.training
    try:
        wrapped = _wrap(model, method, targets, seed)
        model.train(training)
        yield wrapped
    finally:
        for name, module in before.items():
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, module.requires_grad_(False))
        for extra in set(vars(model)) - known:
            delattr(model, extra)


def _wrap(model: nn.Module, method: PeftTuner, targets: tuple[str, ...], seed: int) -> nn.Module:
    """Return PEFT's model around `model`, whose modules it has wrapped."""
    with _quiet(), torch.random.fork_rng(devices=[]):
        from peft import get_peft_model

        torch.manual_seed(seed)
        try:
            wrapped: nn.Module = get_peft_model(model, method.config(targets))
        except (ValueError, TypeError, RuntimeError, AssertionError, ImportError, KeyError, AttributeError) as error:
            raise WrongInput(f"{PREFIX}{method.kind.lower()}: PEFT refuses: {reason(error)}") from error
    return wrapped


def _trainable(tuner: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, parameter) for name, parameter in tuner.named_parameters() if parameter.requires_grad)


@contextmanager
def holding(wrapped: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Run with these tensors, under PEFT's names, in the place of PEFT's parameters, so that gradients reach them."""
    swapped: list[tuple[nn.Module, str, nn.Parameter]] = []
    try:
        for name, _ in list(_trainable(wrapped)):
            parent, _, attribute = name.rpartition(".")
            holder = wrapped.get_submodule(parent)
            parameter = holder._parameters.pop(attribute)
            assert parameter is not None
            swapped.append((holder, attribute, parameter))
            setattr(holder, attribute, values[name])
        yield
    finally:
        for holder, attribute, parameter in swapped:
            delattr(holder, attribute)
            holder.register_parameter(attribute, parameter)


@lru_cache(maxsize=1024)
def _count(method: PeftTuner, shape: Shape) -> int:
    """Trainable elements on a skeleton without memory; with memory for the few types that look at the weights (FROD, SHIRA)."""
    try:
        made = _on_skeleton(method, shape, 0, device="meta")
    except WrongInput:
        made = _on_skeleton(method, shape, 0, device="cpu")
    return sum(parameter.numel() for parameter in made.values())


def _on_skeleton(method: PeftTuner, shape: Shape, seed: int, *, device: str) -> Mapping[str, Tensor]:
    """Trainable tensors that PEFT makes on modules of the right sizes under the right names."""
    with torch.device(device):
        model = _skeleton(shape, method)
    return dict(_trainable(_wrap(model, method, method.targets(shape), seed)))


def _skeleton(shape: Shape, method: PeftTuner) -> nn.Module:
    """The wrapped modules alone; weights are random, since some types decompose them."""
    root, wanted = nn.Module(), set(method.targets(shape))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for site in (site for site in shape.linears if site.name in wanted):
            _place(root, site.name, nn.Linear(site.inputs, site.outputs, bias=site.bias))
        for norm in (norm for norm in shape.norms if norm.name in wanted):
            _place(root, norm.name, nn.LayerNorm(norm.width, bias=norm.bias))
    return root.requires_grad_(False)


def _place(root: nn.Module, name: str, module: nn.Module) -> None:
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, module)


def _config(method: PeftTuner, targets: tuple[str, ...]) -> Any:
    cls = types()[method.kind]
    sizes = {f.name: getattr(method, f.name) for f in fields(method) if f.name in SIZES}
    extra: dict[str, Any] = {key: value for size in sizes for key, value in ZERO.get(size, {}).items()}
    if method.kind == "LORA":
        extra["lora_alpha"] = 16
    if method.kind == "IA3":
        extra["feedforward_modules"] = []
    with _quiet():
        return cls(target_modules=list(targets), **{**sizes, **extra})


def _sized(kind: str, size: str, given: set[str]) -> bool:
    """Whether a config's field is one of ours to choose: `r` of OFT follows from its block size."""
    return size in given and not (size == "r" and kind in ("OFT", "TINYLORA"))


def _first(axis: Axis) -> Any:
    match axis:
        case Choice(options=options):
            return options[0]
        case Float(low=_, high=high):
            return 0.99 if high < 1 else high
        case Int(low=low, high=high):
            return min(4 * low, high)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep advice about defaults, sparse tensors and norms without a number of inputs off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def to_peft(model: nn.Module, shape: Shape, method: PeftTuner, values: Mapping[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
    """Return PEFT's config and state dict of a trained adapter, as PEFT itself names it."""
    import peft

    with injected(model, shape, method, int(values["seed"])) as wrapped, torch.no_grad():
        for name, parameter in _trainable(wrapped):
            parameter.copy_(values[name])
        state = {name: tensor.clone() for name, tensor in peft.get_peft_model_state_dict(wrapped).items()}
    return method.config(method.targets(shape)), state
