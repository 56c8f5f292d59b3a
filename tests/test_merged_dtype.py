"""A merged folder is in its base's precision where the proof allows it; where it does not, float32, and everybody is told."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import Setup
from ulpt_search.workers.exports import Card, Exported, export, load_export, verify
from ulpt_search.workers.exports.base_files import dtype_of
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.precision import cast
from ulpt_search.workers.training.store import AdapterStore

from . import zoo
from .exporting import setup, task_folder, trained, trial


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the task, and the tiny encoder as a bfloat16 checkpoint."""
    folder = tmp_path_factory.mktemp("bfloat16")
    task_folder(folder)
    model = zoo.model("encoder")
    cast(model, torch.bfloat16)
    model.save_pretrained(folder / "model")
    zoo.tokenizer().save_pretrained(folder / "model")
    return folder


def here(place: Path) -> Setup:
    made = setup("encoder", place / "toy")
    return replace(made, model=replace(made.model, name=str(place / "model")))


def of_powers_of_two(study: Setup, config: Trial) -> str:
    """A stored state whose gates are 2 and 1/2: bfloat16 holds every product with them."""
    store = AdapterStore(study.store)
    tensors, told = store.get(trained(study, config))
    gates = {name: _halves_and_doubles(tensor) if name.endswith("/l") else tensor for name, tensor in tensors.items()}
    assert any(not torch.equal(tensor, tensors[name]) for name, tensor in gates.items())
    return store.put(gates, told)


def _halves_and_doubles(tensor: Tensor) -> Tensor:
    turns = torch.arange(tensor.numel()).view_as(tensor) % 2
    return torch.where(turns == 0, 2.0, 0.5).to(tensor.dtype)


def kept(folder: Path) -> set[torch.dtype]:
    return {tensor.dtype for tensor in safetensors.torch.load_file(folder / "model.safetensors").values() if tensor.is_floating_point()}


def merged(place: Path, config: Trial, digest: str, out: Path, fresh: Fresh) -> Exported:
    report = export(here(place), config, digest, style="merged", out=out, fresh=fresh)
    assert verify(out, fresh=fresh).fine
    return report


def test_what_bfloat16_holds_stays_in_it(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    study, config = here(place), trial("encoder", "ia3")
    report = merged(place, config, of_powers_of_two(study, config), tmp_path / "out", fresh)
    assert kept(tmp_path / "out") == kept(place / "model") == {torch.bfloat16}
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text()) == json.loads((place / "model" / name).read_text())
    assert report.note == ""
    before, after = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (place / "model", tmp_path / "out"))
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("encoder.layer.") for name in changed)


def test_what_bfloat16_would_round_away_is_kept_and_said(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    study, config = here(place), trial("encoder", "lora")
    report = merged(place, config, trained(study, config), tmp_path / "out", fresh)
    assert kept(tmp_path / "out") == {torch.float32}
    config_there = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config_there == {**json.loads((place / "model" / "config.json").read_text()), "dtype": "float32"}
    assert report.note.startswith("is merged in float32: rounded to the base's bfloat16, outputs differ by ")
    assert "the adapter's own effect is" in report.note
    assert f"This adapter {report.note}." in (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert Card.read(tmp_path / "out").evidence.note == report.note  # type: ignore[union-attr]


def test_rounded_anyway_it_is_refused(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    """What the note says is so: the same weights in bfloat16 fail the proof."""
    from .test_proof import agree

    study, config = here(place), trial("encoder", "lora")
    merged(place, config, trained(study, config), tmp_path / "out", fresh)
    file = tmp_path / "out" / "model.safetensors"
    rounded = {name: tensor.to(torch.bfloat16) for name, tensor in safetensors.torch.load_file(file).items()}
    safetensors.torch.save_file(rounded, file, metadata={"format": "pt"})
    agree(tmp_path / "out")
    failed = verify(tmp_path / "out", fresh=fresh).failed
    assert failed is not None
    assert failed.name == "outputs"


def test_a_float32_base_is_what_it_was(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    from ulpt_search.spaces.space import ModelSpec
    from ulpt_search.workers.model.backbone import load

    for name, dtype in ((zoo.saved("encoder"), torch.float32), (str(place / "model"), torch.bfloat16)):
        assert dtype_of(load(ModelSpec(name, dtype="float32", device="cpu"))) == dtype


def test_it_predicts_as_the_adapter_does(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    study, config = here(place), trial("encoder", "ia3")
    digest = of_powers_of_two(study, config)
    merged(place, config, digest, tmp_path / "merged", fresh)
    export(study, config, digest, style="native", out=tmp_path / "native", fresh=fresh)
    texts = ["w0 w11 w12", "w2 w40"]
    wanted = load_export(tmp_path / "native")(texts)
    assert [one["probability"] for one in load_export(tmp_path / "merged")(texts)] == pytest.approx(
        [one["probability"] for one in wanted], abs=2e-4
    )
