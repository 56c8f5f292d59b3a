"""Files of the frozen model that an export shares: its configuration and its tokenizer, byte for byte, without what training set."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache

from ..model.backbone import Backbone
from ..model.identity import ModelFiles
from ..model.precision import stored_in

TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")


def find(backbone: Backbone, name: str) -> Path | None:
    """A file of the frozen model's folder, or of the hub's cache, from which it was just loaded; None where there is none."""
    local = Path(backbone.source)
    if local.is_dir():
        return local / name if (local / name).is_file() else None
    found = try_to_load_from_cache(backbone.source, name, revision=revision(backbone))
    return Path(found) if isinstance(found, str) else None


def revision(backbone: Backbone) -> str | None:
    """The commit of a model from the hub."""
    commit = getattr(backbone.model.config, "_commit_hash", None)
    return commit if isinstance(commit, str) else None


def copy_tokenizer(backbone: Backbone, out: Path) -> None:
    """Put the base's tokenizer files into a folder: the loaded one was told to truncate and to pad, and would keep that."""
    names = {*TOKENIZER, *backbone.tokenizer.vocab_files_names.values()}
    for path in filter(None, (find(backbone, name) for name in sorted(names))):
        shutil.copyfile(path, out / path.name)


def dtype_of(backbone: Backbone) -> torch.dtype:
    """What the base's files hold."""
    return stored_in(ModelFiles.of(backbone.source).weights.paths)


def holds_few_bits(backbone: Backbone) -> bool:
    """Whether the base's files hold weights in a few bits, so that there are no whole ones."""
    found = find(backbone, "config.json")
    return found is not None and "quantization_config" in json.loads(found.read_text(encoding="utf8"))


def copy_config(backbone: Backbone, out: Path, *, dtype: torch.dtype) -> None:
    """Put the base's configuration beside merged weights; only the class that holds them is said anew, and a dtype that is not the base's.

    Code that a base brings along stays behind: what was loaded is transformers' own class.
    """
    found = find(backbone, "config.json")
    assert found is not None, f"{backbone.source} was loaded without a config.json"
    config: dict[str, Any] = json.loads(found.read_text(encoding="utf8"))
    config.pop("auto_map", None)
    if backbone.part:
        config = _of_text(config, backbone)
    config["architectures"] = [type(backbone.model).__name__]
    stored = "dtype" if "dtype" in config else "torch_dtype"
    if dtype != dtype_of(backbone):
        config[stored] = str(dtype).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf8")
    generation = find(backbone, "generation_config.json")
    (out / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        shutil.copyfile(generation, out / "generation_config.json")


def _of_text(whole: dict[str, Any], backbone: Backbone) -> dict[str, Any]:
    """The part of a multimodal model's configuration that is its text part's, with what stands outside that part in the file."""
    config = backbone.model.config
    text = whole.get("text_config") or {key: value for key, value in config.to_diff_dict().items() if key != "use_cache"}
    dtype = {key: whole[key] for key in ("dtype", "torch_dtype") if key in whole and key not in text}
    return {**text, **dtype, "model_type": config.model_type, "tie_word_embeddings": config.tie_word_embeddings}
