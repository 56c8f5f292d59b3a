"""By what a frozen model is recognised: its weights as they are in use, its tokenizer, its config; and what computes its numbers."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from ...spaces.errors import WrongInput
from ...spaces.hashing import sha256_of_json
from ...spaces.identity import Content, FrozenSide, Numerics
from ...spaces.shape import Family
from ...spaces.space import Quantization
from .attention import NAMES
from .hash_cache import THREADS, Files, HashCache
from .quantised import dense, size_of
from .sizes import pieces

TEMPLATES: Mapping[Family, str] = {
    "encoder": "2: text, or a pair as the tokenizer joins it, with its token types; mean over the text, cosine to descriptions over 0.05",
    "decoder": "2: text, or a pair on two lines, and 'Answer:' on its own; the label word's logit behind it",
    "encoder-decoder": "2: text, or a pair with a space between; the label word's logit at the first position",
}
"""How texts become tokens and outputs become scores. Counted up whenever the same text comes to other tokens or scores."""

_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model")
_OF_NO_PASS = (
    "_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache", "initializer_range",
    "initializer_factor", "gradient_checkpointing", "id2label", "label2id", "num_labels", "problem_type", "task_specific_params",
    "finetuning_task", "quantization_config",
)  # fmt: skip
"""What a config says of how the model was made, kept or trained; dropout is such a thing, too."""


@dataclass(frozen=True)
class ModelFiles:
    """A model's files as they are before it is loaded."""

    weights: Files
    tokenizer: Files
    config: Files

    @classmethod
    def of(cls, source: str) -> "ModelFiles":
        """The files in a folder, or those of a hub id that lie in the local cache. Raises `OSError` where one is gone."""
        folder = Path(source) if Path(source).is_dir() else Path(cached_file(source, "config.json") or source).parent
        named = sorted({path for pattern in _TOKENIZER for path in folder.glob(pattern)})
        return cls(Files.of(_checkpoint(folder)), Files.of(named), Files.of([folder / "config.json"]))


def frozen_side(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    files: ModelFiles,
    *,
    cache: HashCache,
    name: str,
    quantization: Quantization = "none",
) -> FrozenSide:
    """Return the identity of a model as its files hold it. Raises `WrongInput` where they have changed since `files`."""
    config = sha256_of_json(_of_passes(model.config))
    library = transformers.__version__
    kept = () if quantization == "none" else (quantization,)  # the same files are another model in fewer bits
    files_hash = cache.get("file", files.weights, files.weights.sha256)
    weights = Content(
        cache.get("weights", files.weights, lambda: _weights(model), also=(library, config, type(model).__name__, *kept)),
        sha256_of_json([files_hash, *kept]) if kept else files_hash,
    )
    tokens = Content(
        cache.get("tokenizer", files.tokenizer, lambda: sha256_of_json(_tokenizer(tokenizer)), also=(library, tokenizers.__version__)),
        cache.get("file", files.tokenizer, files.tokenizer.sha256),
    )
    if Files.of(files.weights.paths) != files.weights or Files.of(files.tokenizer.paths) != files.tokenizer:
        raise WrongInput(f"model {name}: its files have changed while they were read; run again when nobody writes there")
    return FrozenSide(weights, tokens, Content(config, files.config.sha256()), getattr(model.config, "_commit_hash", None) or "")


def numerics(model: PreTrainedModel) -> Numerics:
    """Return what computes a loaded model's numbers."""
    kernels = {registered: kernel for kernel, registered in NAMES.items()}
    attention = str(model.config._attn_implementation)
    device = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else model.device.type
    dtype = str(model.dtype).removeprefix("torch.")
    return Numerics(dtype, kernels.get(attention, attention), device, torch.__version__, transformers.__version__)


def former_fingerprint(model: PreTrainedModel) -> str:
    """What versions without an identity called a model loaded in float32: all its parameters, in use or not."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.named_parameters()):
        found.update(f"{name} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().contiguous().numpy().data)
    return found.hexdigest()


def _checkpoint(folder: Path) -> list[Path]:
    """The files that transformers reads weights from."""
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = json.loads(index.read_text(encoding="utf8"))["weight_map"].values()
            return [folder / shard for shard in sorted(set(shards))]
    return []


def _of_passes(config: PretrainedConfig) -> dict[str, Any]:
    return _cleared(config.to_dict())


def _cleared(told: dict[str, Any]) -> dict[str, Any]:
    """What is left of a config, and of those inside it: loading writes the dtype into each."""
    kept = {key: value for key, value in told.items() if key not in _OF_NO_PASS and "dropout" not in key}
    return {key: _cleared(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _tokenizer(tokenizer: PreTrainedTokenizerBase) -> list[object]:
    """What a tokenizer does: its own file and special tokens, or its vocabulary where it has no such file."""
    special = sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is None:
        return [type(tokenizer).__name__, special, tokenizer.truncation_side, sorted(tokenizer.get_vocab().items())]
    told = json.loads(core.to_str())
    # these two are left behind by the latest call, not part of the tokenizer
    return [special, tokenizer.truncation_side, {name: part for name, part in told.items() if name not in ("truncation", "padding")}]


TOKENS = 8
"""Of the pass that tells which weights are in use: Funnel cannot pool two."""


def _weights(model: PreTrainedModel) -> str:
    """sha256 over names, shapes and bytes of all that a pass uses, as loaded: a tied or renamed checkpoint is the same."""
    used = dict(_in_use(model))
    with ThreadPoolExecutor(THREADS) as threads:
        hashes = threads.map(lambda tensor: sha256_of_tensor(dense(tensor)), used.values())
        return sha256_of_json(sorted([key, list(size_of(tensor)), each] for (key, tensor), each in zip(used.items(), hashes, strict=True)))


def _in_use(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Parameters of a pass, and buffers that checkpoints hold.

    A module at the top of which a pass comes by nothing is left out, such as an encoder's pooler. Deeper down nothing is: of a
    mixture of experts, one pass does not come by all.
    """
    busy = {key.partition(".")[0] for key in _reached(model)}
    for key, tensor in model.named_parameters():
        if key.partition(".")[0] in busy:
            yield key, tensor
    known = {key for key, _ in model.named_parameters(remove_duplicate=False)}
    for key, tensor in model.state_dict().items():
        if key not in known and tensor.is_floating_point() and key.partition(".weight.")[0] + ".weight" not in known:
            yield key, tensor


def _reached(model: PreTrainedModel) -> set[str]:
    """Names of the parameters that the outputs of a pass of a few tokens depend on: autograd has noted them."""
    names = {id(parameter): key for key, parameter in model.named_parameters()}
    left, seen = [_outputs(model).grad_fn], set[object]()
    reached = set[str]()
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        reached.add(names.get(id(getattr(node, "variable", None)), ""))
        left += [after for after, _ in node.next_functions]
    return reached - {""}


@torch.enable_grad()
def _outputs(model: PreTrainedModel) -> Tensor:
    ids = torch.arange(1, 1 + TOKENS, device=model.device)[None]  # weights in few bits are on theirs from the start
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.zeros_like(ids[:, :1])
    found = model(**inputs)
    outputs: Tensor = found.logits if hasattr(found, "logits") else found.last_hidden_state
    return outputs


def sha256_of_tensor(tensor: Tensor) -> str:
    """sha256 of the bytes of a tensor's numbers, in float32 where they are less precise: the same in whatever and wherever they lie."""
    found, narrow = hashlib.sha256(), tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize
    for piece in pieces(tensor.contiguous()):
        found.update((piece.float() if narrow else piece).cpu().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
