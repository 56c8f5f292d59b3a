"""Adapters as stock PEFT adapters: for each effect, the PEFT type that represents it exactly.

The tensors are put into a freshly built stock model by name, and a name that the model does not have is an error, since PEFT
itself would ignore it without a word.
"""

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import peft
from peft import LNTuningConfig, PromptLearningConfig, TaskType

from ...spaces.errors import Failure, WrongInput
from ..method import Biases, Dense, Gates, KeysValues, LowRank, Method, NormEffect, SoftPrompt, Sparse, Spectral
from ..model.backbone import Backbone
from ..peft_bridge import PeftTuner
from ..peft_bridge import to_peft as to_stock
from . import linears, prompts, spectral
from .prompts import TASK_TYPES, Built, Tensors


def to_peft(backbone: Backbone, method: Method, values: Tensors) -> Built:
    """Return PEFT's config and its tensors, under the names they have in a stock model, for one trained method.

    `values` are the method's trainable and frozen tensors. Raises `WrongInput` where PEFT has no exact form.
    """
    for effect, convert in CONVERSIONS.items():
        if isinstance(method, effect) and "peft" in method.exports:
            return convert(backbone, method, values)
    raise WrongInput(f"export: {type(method).__name__.lower()} has no exact PEFT form; use --format {' or '.join(method.exports)}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep PEFT from two wrong guesses: LN_TUNING misses a norm's number of inputs; LORA takes a bias for a lost shard of a matrix.

    And from advice on how its modules start, which an export no longer does, and on positions that `generate` itself hands over.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Unsupported layer type")
        warnings.filterwarnings("ignore", message=r".* LoRA tensor\(s\) have invalid shape: \S*lora_B\.bias:")
        warnings.filterwarnings("ignore", module=r"peft\.tuners\.")
        warnings.filterwarnings("ignore", message="Position ids are not supported for parameter efficient tuning")
        yield


def write(backbone: Backbone, built: Built, out: Path, *, layer: str | None = None) -> None:
    """Write a PEFT adapter folder by PEFT's own means, on a throw-away copy of the frozen model's structure.

    With a `layer`, the model's classes are its, and it is saved beside the adapter.
    """
    config, tensors = built
    if layer is not None:
        saved = [*(config.modules_to_save or ()), layer]  # type: ignore[attr-defined]
        config.task_type, config.modules_to_save = TaskType.SEQ_CLS, list(saved)  # type: ignore[attr-defined]
    elif not isinstance(config, PromptLearningConfig):
        config.task_type = None  # with one, AutoPeftModel refuses the folder; without one, PEFT would skip a prompt
    with quiet():
        model = peft.get_peft_model(backbone.model, config)
        try:
            if layer is not None:
                config.modules_to_save = saved  # type: ignore[attr-defined] # PEFT has put other families' names beside it
            _fill(model, tensors)
            model.save_pretrained(str(out))
        finally:
            unload = getattr(model.base_model, "unload", None)
            if unload is not None:
                unload()


def name_base(folder: Path, base: str, revision: str | None) -> None:
    """Say in an adapter's folder where its frozen model is, instead of where it was loaded from here."""
    path = folder / "adapter_config.json"
    config = {**json.loads(path.read_text(encoding="utf8")), "base_model_name_or_path": base, "revision": revision}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf8")


def _fill(model: peft.PeftModel, tensors: Tensors) -> None:
    """Put the tensors into a stock model; `Failure` where it has others."""
    names = peft.get_peft_model_state_dict(model)
    if set(names) != set(tensors):
        odd = sorted(set(names) ^ set(tensors))
        raise Failure(f"export: the stock model and the adapter disagree on {len(odd)} tensors, e.g. {odd[0]}")
    peft.set_peft_model_state_dict(model, {name: tensor.to(names[name].dtype) for name, tensor in tensors.items()})


def _norms(backbone: Backbone, method: NormEffect, values: Tensors) -> Built:
    """LN_TUNING holds scale and shift as they are, not their changes."""
    names, whole = [site.name for site in method.norms(backbone.shape)], linears.whole_norms(backbone, method, values)
    config = LNTuningConfig(task_type=TASK_TYPES[backbone.family], target_modules=names, inference_mode=True)
    return config, {f"base_model.model.{_inside(name)}": value for name, value in whole.items()}


def _inside(name: str) -> str:
    module, _, parameter = name.rpartition(".")
    return f"{module}.ln_tuning_layers.{parameter}"


CONVERSIONS: dict[type, Callable[..., Built]] = {
    SoftPrompt: prompts.soft_prompt,
    KeysValues: prompts.keys_values,
    Spectral: spectral.spectral,
    LowRank: linears.low_rank,
    Dense: linears.dense,
    Sparse: linears.sparse,
    Gates: linears.gates,
    Biases: linears.biases,
    NormEffect: _norms,
    PeftTuner: lambda backbone, method, values: to_stock(backbone.model, backbone.shape, method, values),
}
