"""An export as a folder: what leaves with it, what is refused on the way in, and whose files are nobody's business."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from peft import AutoPeftModel, AutoPeftModelForFeatureExtraction
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModel, AutoTokenizer

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import Setup
from ulpt_search.workers.exports import export, load_export, verify
from ulpt_search.workers.exports.card import MINILM, Card
from ulpt_search.workers.exports.evidence import NOISE, ROUNDING, trace
from ulpt_search.workers.exports.outside import check_adapter, tensors_of
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.model.backbone import resolve

from . import zoo
from .door import call, values
from .exporting import setup, task_folder, trained, trial


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model beside the exports, so that both can move together."""
    folder = tmp_path_factory.mktemp("place")
    zoo.save("encoder", folder / "model")
    task_folder(folder)
    return folder


def here(place: Path) -> Setup:
    made = setup("encoder", place / "toy")
    return replace(made, model=replace(made.model, name=str(place / "model")))


@pytest.fixture(scope="module")
def exports(place: Path, fresh: Fresh) -> dict[str, Path]:
    """One LoRA in every format."""
    config, study = trial("encoder", "lora"), here(place)
    for style in ("native", "peft", "merged"):
        export(study, config, trained(study, config), style=style, out=place / style, fresh=fresh)
    return {style: place / style for style in ("native", "peft", "merged")}


def copied(exports: dict[str, Path], style: str, to: Path) -> Path:
    """A copy with the model where its card looks for it."""
    shutil.copytree(exports[style].parent / "model", to / "model")
    return Path(shutil.copytree(exports[style], to / "adapter"))


@pytest.mark.parametrize("style", ["native", "peft", "merged"])
def test_a_moved_export_is_verified_as_before(style: str, exports: dict[str, Path], tmp_path: Path, fresh: Fresh) -> None:
    moved = copied(exports, style, tmp_path)
    verdict = verify(moved, fresh=fresh)
    assert [check.name for check in verdict.checks][:5] == ["files", "base", "tokens", "outputs", "scores"]
    assert verdict.fine, verdict.checks
    assert not list(moved.glob(".*"))


@pytest.mark.parametrize("style", ["native", "peft"])
def test_the_right_adapter_on_the_wrong_base(style: str, exports: dict[str, Path], tmp_path: Path, fresh: Fresh) -> None:
    other = zoo.save("encoder", tmp_path / "other")
    weights = safetensors.torch.load_file(other / "model.safetensors")
    weights["encoder.layer.0.attention.self.value.weight"] *= 1.001
    safetensors.torch.save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    verdict = verify(exports[style], model=str(other), fresh=fresh)
    assert not verdict.fine
    assert verdict.failed is not None
    assert (verdict.failed.name, verdict.checks[-1].fine) == ("base", None)
    assert str(other) in verdict.failed.detail


def test_the_command_says_which_check_failed(exports: dict[str, Path], tmp_path: Path) -> None:
    bad = copied(exports, "peft", tmp_path)
    weights = (bad / "adapter_model.safetensors").read_bytes()
    (bad / "adapter_model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    result = call("verify", str(bad), "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["fine"], told["checks"][0]["name"], told["checks"][0]["fine"]) == (1, False, "files", False)
    assert "damaged or changed" in told["checks"][0]["detail"]
    assert "NO files: " in call("verify", str(bad)).stdout
    with pytest.raises(WrongInput, match=r"adapter_model\.safetensors: damaged or changed"):
        load_export(bad)


def test_a_folder_that_is_no_export(tmp_path: Path) -> None:
    result = call("verify", str(tmp_path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not an exported adapter, there is no ulpt.json" in result.stderr


def test_an_adapter_that_does_next_to_nothing_is_said_to(place: Path, tmp_path: Path, fresh: Fresh) -> None:
    slow = {key: 1e-9 for key in trial("encoder", "lora").hyperparameters if key.startswith("lr")}
    study, config = here(place), trial("encoder", "lora", slow)
    report = export(study, config, trained(study, config), style="peft", out=tmp_path / "faint", fresh=fresh)
    assert report.note.startswith("does next to nothing: ")
    assert "This adapter does next to nothing: " in (tmp_path / "faint" / "README.md").read_text(encoding="utf8")
    assert verify(tmp_path / "faint", fresh=fresh).note == report.note
    tensors = safetensors.torch.load_file(tmp_path / "faint" / "adapter_model.safetensors")
    zeros = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    safetensors.torch.save_file(zeros, tmp_path / "faint" / "adapter_model.safetensors")
    failed = verify(tmp_path / "faint", fresh=fresh).failed
    assert failed is not None
    assert failed.name == "files"


def test_what_counts_is_the_effect_and_not_the_outputs() -> None:
    """An effect of 2e-4 on outputs of 1: an export that does nothing is as near to it as summation order, and is refused."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(8, 64, generator=generator)
    effect = 2e-4 * torch.randn(8, 64, generator=generator)
    judged = trace(base, base, base + effect)
    assert judged.judge(base + 1.0005 * effect, base, what="outputs").startswith("outputs differ by")
    for wrong in (0.0, 0.5, -1.0, 1.05):
        with pytest.raises(Exception, match=r"outputs differ by .*; the adapter's own effect is"):
            judged.judge(base + wrong * effect, base, what="outputs")
    assert not judged.faint
    assert trace(base, base, base + NOISE * ROUNDING * base).faint


def test_nothing_of_training_leaks_into_a_merged_folder(exports: dict[str, Path], place: Path) -> None:
    base, merged = place / "model", exports["merged"]
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (merged / name).read_bytes() == (base / name).read_bytes()
    assert json.loads((merged / "config.json").read_text()) == json.loads((base / "config.json").read_text())
    before, after = AutoModel.from_pretrained(base), AutoModel.from_pretrained(merged)
    assert before.dtype == after.dtype
    changed = {name for name, tensor in after.state_dict().items() if not torch.equal(tensor, before.state_dict()[name])}
    assert changed == {f"encoder.layer.{layer}.attention.self.{role}.weight" for layer in (0, 1) for role in ("query", "value")}
    assert AutoTokenizer.from_pretrained(merged).backend_tokenizer.truncation is None


def test_the_classes_that_a_user_would_call_load_a_peft_folder(exports: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exports["peft"])
    config = json.loads(Path("adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../model"
    for loader in (AutoPeftModel, AutoPeftModelForFeatureExtraction):
        model = loader.from_pretrained(".")
        assert any("lora" in name for name, _ in model.named_parameters())
    assert AutoTokenizer.from_pretrained(".")("w1 w2")["input_ids"]


def test_sentence_transformers_loads_a_merged_encoder(exports: dict[str, Path]) -> None:
    model, predict = SentenceTransformer(str(exports["merged"]), device="cpu"), load_export(exports["merged"])
    texts = ["w0 w11 w12", "w2 w40"]
    labels = tensors_of(exports["merged"] / "labels.safetensors")["labels"]
    chances = (model.encode(texts, convert_to_tensor=True) @ labels.T / 0.05).softmax(-1)
    assert [round(float(row.max()), 3) for row in chances] == [pytest.approx(answer["probability"], abs=2e-3) for answer in predict(texts)]


def test_the_embedded_model_is_named_by_what_was_published(tmp_path: Path) -> None:
    card = Card("peft", 0, "lora", {}, 0, 1, "", "minilm", "", "encoder", "t", ("a",), ("a",), "accuracy", 8, revision=MINILM[1])
    assert card.hub == "sentence-transformers/all-MiniLM-L6-v2"
    assert card.base_name == "sentence-transformers/all-MiniLM-L6-v2 at c9745ed1d9f2"
    assert AutoConfig.from_pretrained(resolve("minilm")).hidden_size == 384


def lie_about_the_header(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 30) + path.read_bytes()[8:])


def promise_a_huge_rank(folder: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 10**9}))


def bring_a_pickle(folder: Path) -> None:
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def make_it_a_pipe(folder: Path) -> None:
    (folder / "adapter_model.safetensors").unlink()
    os.mkfifo(folder / "adapter_model.safetensors")


def change_the_card(key: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "ulpt.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return change


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "header": (lie_about_the_header, r"adapter_model\.safetensors: not a usable safetensors file: "),
    "rank": (promise_a_huge_rank, r"adapter_config\.json: r is 1000000000, but the adapter holds \d+ numbers in all"),
    "pickle": (bring_a_pickle, r"adapter_model\.(bin|safetensors): (not a file of this export|not a usable|missing)"),
    "pipe": (make_it_a_pipe, r"adapter_model\.safetensors: not a plain file"),
    "format": (change_the_card("format", "gguf"), r"ulpt\.json: format: Input should be 'native', 'peft' or 'merged', got 'gguf'"),
    "path": (change_the_card("files", {"../model/config.json": "0"}), r"the card names '\.\./model/config\.json', which is not inside"),
    "type": (change_the_card("seed", {"a": 1}), r"ulpt\.json: seed: .*, got \{'a': 1\}; not a card that this version reads"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_comes_from_elsewhere_is_refused_in_one_line(case: str, exports: dict[str, Path], tmp_path: Path) -> None:
    bad, (spoil, message) = copied(exports, "peft", tmp_path), BAD[case]
    spoil(bad)
    if case in ("header", "rank"):  # the card agrees, as an ill-willed one would
        with pytest.raises(WrongInput, match=message) as caught:
            check_adapter(bad)
    else:
        with pytest.raises(WrongInput, match=message) as caught:
            load_export(bad)
    assert "\n" not in str(caught.value)


def test_code_that_comes_with_a_model_never_runs(exports: dict[str, Path], tmp_path: Path) -> None:
    bad = copied(exports, "native", tmp_path)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config |= {"model_type": "stranger", "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"}}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "code.py").write_text("raise SystemExit('the code ran')")
    with pytest.raises(WrongInput, match=r"no usable config\.json"):
        load_export(bad)


def test_force_leaves_what_an_export_did_not_write(exports: dict[str, Path], place: Path, tmp_path: Path, fresh: Fresh) -> None:
    (tmp_path / ".out.unproven").mkdir()
    (tmp_path / ".out.replaced").mkdir()
    out, study, config = tmp_path / "out", here(place), trial("encoder", "ia3")
    export(study, config, trained(study, config), style="native", out=out, fresh=fresh)
    (out / "notes.txt").write_text("mine")
    again = trial("encoder", "lora")
    export(study, again, trained(study, again), style="peft", out=out, fresh=fresh, force=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "adapter.safetensors").exists()
    assert load_export(out).card.method == "lora"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.replaced", ".out.unproven", "out"]
    (out / "README.md").write_text("my own words")
    with pytest.raises(WrongInput, match=r"README\.md was changed since it was exported, so --force leaves it alone"):
        export(study, again, "0" * 64, style="peft", out=out, fresh=fresh, force=True)


def test_a_link_is_followed_and_the_working_folder_will_do(
    place: Path, tmp_path: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, config = here(place), trial("encoder", "ia3")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    export(study, config, trained(study, config), style="native", out=tmp_path / "link", fresh=fresh)
    assert (tmp_path / "link").is_symlink()
    assert load_export(tmp_path / "target").card.method == "ia3"
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    export(study, config, trained(study, config), style="native", out=Path(), fresh=fresh)
    assert load_export(".").card.method == "ia3"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WrongInput, match=r"export: \. exists and is not empty; choose another --out"):
        export(study, config, "0" * 64, style="native", out=Path(), fresh=fresh)
    assert values("predict", str(tmp_path / "target"), "w0 w11")[0]["label"] in {"red", "green", "blue"}


@pytest.mark.parametrize("style", ["native", "peft", "merged"])
def test_a_loaded_export_draws_nothing(style: str, exports: dict[str, Path]) -> None:
    """Wrapping may leave dropout on: then two passes would differ."""
    predict = load_export(exports[style])
    model = predict.model or predict.backbone.model
    assert not [name for name, module in model.named_modules() if module.training]
    assert predict(["w0 w11 w12"]) == predict(["w0 w11 w12"])
