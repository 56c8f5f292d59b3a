"""The law of exports: in every format that a method claims, a trained adapter reloads elsewhere to what the search scored."""

from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch

from ulpt_search.spaces.axes import Hyperparameters
from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.spaces.records import Trial
from ulpt_search.spaces.space import Setup
from ulpt_search.workers.catalogue import catalogue
from ulpt_search.workers.exports import export, load_export
from ulpt_search.workers.exports.reloading import Fresh
from ulpt_search.workers.training import worker

from . import zoo
from .exporting import STEPS, exact, fits, searched_scores, setup, task_folder, trained, trial

CLAIMS = [(name, style) for name, cls in sorted(catalogue().items()) for style in cls.exports]
FAMILIES = [("encoder", "decoder"), pytest.param(("encoder-decoder", "gpt2"), marks=pytest.mark.slow)]
COMPOSITIONS = [
    ("lora+ln_tuning", "merged"),
    ("ia3+bitfit", "merged"),
    ("ulpt+bitfit", "native"),
    ("prefix+lora", "native"),
    ("ulpt+ln_tuning", "native"),
    ("prompt+lora", "native"),
    ("ulpt+head", "native"),
    ("lora+head", "native"),
    ("lora+head", "merged"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("exports"))


def prove(setup: Setup, trial: Trial, style: str, out: Path, fresh: Fresh) -> None:
    """Export a trained trial; its reloaded scores are the search's, and not those of the untrained adapter."""
    digest = trained(setup, trial)
    done = export(setup, trial, digest, style=style, out=out, fresh=fresh)
    assert (done.format, done.path, done.trainable_parameters) == (style, str(out), trial.parameters)
    assert not list(out.glob(".*"))
    assert not done.note
    wanted = searched_scores(setup, trial, digest)
    torch.testing.assert_close(load_export(out).scores(worker.session(setup).task.validation), wanted, rtol=1e-3, atol=1e-3)
    assert float((wanted - searched_scores(setup, trial, None)).abs().max()) > 0.02, (
        f"{trial.method}: {STEPS} steps changed nothing worth exporting"
    )


@pytest.mark.parametrize("families", FAMILIES, ids="+".join)
@pytest.mark.parametrize(
    ("name", "style"), [claim if claim[0] != "adamix" else pytest.param(*claim, marks=pytest.mark.slow) for claim in CLAIMS]
)
def test_exports_to_each_format_it_claims(
    name: str, style: str, families: tuple[str, ...], folder: Path, tmp_path: Path, fresh: Fresh
) -> None:
    fitting = {family: config for family in families if (config := fits(family, name, style)) is not None}
    if not fitting and "encoder" not in families:
        pytest.skip(f"{name} has no {style} form here")
    assert fitting, f"{name} claims {style}, which neither an encoder nor a decoder has"
    for family, config in fitting.items():
        prove(setup(family, folder), config, style, tmp_path / family, fresh)


@pytest.mark.parametrize("family", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("name", "style"), [("peft:hra", "peft"), ("peft:ln_tuning", "peft"), ("peft:oft", "native"), ("peft:ln_tuning", "native")]
)
def test_methods_of_peft_leave_by_its_own_hand(name: str, style: str, family: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    prove(setup(family, folder), trial(family, name), style, tmp_path / "out", fresh)


@pytest.mark.parametrize(("name", "style"), COMPOSITIONS)
def test_compositions_leave_whole(name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    config = trial("encoder", name)
    assert style in exact("encoder", config)
    prove(setup("encoder", folder), config, style, tmp_path / "out", fresh)


@pytest.mark.parametrize("name", ["ulpt", "lora"])
def test_an_encoder_decoder_keeps_prompts_and_linears_in_peft(name: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    prove(setup("encoder-decoder", folder), trial("encoder-decoder", name), "peft", tmp_path / "out", fresh)


@pytest.mark.parametrize("name", ["prefix", "pruned_prefix"])
def test_a_decoder_of_two_stacks_keeps_its_keys_and_values_in_peft(name: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    config = trial("encoder-decoder", name, {"layers": "last:50%", "prefix_length": 3})
    prove(setup("encoder-decoder", folder), config, "peft", tmp_path / "out", fresh)
    written = safetensors.torch.load_file(tmp_path / "out" / "adapter_model.safetensors")["prompt_embeddings"]
    pairs = written.view(3, 4, 2, -1)
    assert bool((pairs[:, 1::2] == 0).all())  # decoder layer l reads pair 2l
    assert bool((pairs[:, ::2] != 0).any())


@pytest.mark.parametrize(
    ("family", "name", "changes", "style", "forms"),
    [
        ("encoder", "dept", {}, "peft", "native"),
        ("encoder", "ulpt", {}, "merged", "native or peft"),
        ("encoder", "ulpt+bitfit", {}, "peft", "native"),
        ("encoder", "lora+bitfit", {}, "peft", "native or merged"),
        ("decoder", "ulpt+ln_tuning", {}, "peft", "native"),
        ("encoder", "prompt+lora", {}, "merged", "native"),
        ("decoder", "prefix", {"layers": "last:1"}, "peft", "native"),
        ("encoder-decoder", "prefix", {}, "peft", "native"),
    ],
)
def test_no_exact_form_lists_the_forms_that_exist(
    family: str, name: str, changes: Hyperparameters, style: str, forms: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(WrongInput) as caught:
        export(setup(family, folder), trial(family, name, changes), "0" * 64, style=style, out=tmp_path / "out")
    assert str(caught.value).startswith(f"export: this {name} has no exact {style} form: ")
    assert str(caught.value).endswith(f"; take {forms}")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(WrongInput, match="exists and is not empty; choose another --out"):
        export(setup("encoder", folder), trial("encoder", "ulpt"), "0" * 64, style="native", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_earlier_export_is_replaced_when_told_to(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    here, first, second, out = setup("encoder", folder), trial("encoder", "ulpt"), trial("encoder", "ia3"), tmp_path / "out"
    export(here, first, trained(here, first), style="native", out=out, fresh=fresh)
    with pytest.raises(WrongInput, match="add --force to replace that export, or choose another --out"):
        export(here, second, trained(here, second), style="native", out=out, fresh=fresh)
    export(here, second, trained(here, second), style="native", out=out, fresh=fresh, force=True)
    assert load_export(out).card.method == "ia3"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_is_used(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    (tmp_path / "out").mkdir()
    prove(setup("encoder", folder), trial("encoder", "ulpt"), "peft", tmp_path / "out", fresh)


def test_a_stored_adapter_that_is_not_there_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    with pytest.raises((Failure, WrongInput), match="000000"):
        export(setup("encoder", folder), trial("encoder", "ulpt"), "0" * 64, style="native", out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_adapter_that_computes_something_else_leaves_nothing(
    folder: Path, tmp_path: Path, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT's writer is made to get the scaling wrong; stock PEFT then loads and computes another function."""
    here, config = setup("encoder", folder), trial("encoder", "lora", {"rank": 2})
    digest, save = trained(here, config), peft.PeftModel.save_pretrained

    def forgetful(model: peft.PeftModel, path: str) -> None:
        config: Any = model.peft_config["default"]
        config.alpha_pattern = dict.fromkeys(config.alpha_pattern, 99)
        save(model, path)

    monkeypatch.setattr(peft.PeftModel, "save_pretrained", forgetful)
    with pytest.raises(Failure, match=r"export: peft refused, outputs: outputs differ by \d.*; the adapter's own .*; nothing was written"):
        export(here, config, digest, style="peft", out=tmp_path / "out", fresh=fresh)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_reloaded_is_said_in_one_line_and_the_process_serves_on(tmp_path: Path, fresh: Fresh) -> None:
    (tmp_path / "broken").mkdir()
    probe = {"input_ids": torch.ones(1, 2, dtype=torch.long), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    for _ in range(2):
        with pytest.raises(Failure, match=r"the reloading process cannot use broken: \w+: .*adapter_config\.json") as caught:
            fresh.outputs(tmp_path / "broken", zoo.saved("encoder"), probe, style="peft:encoder")
        assert "\n" not in str(caught.value)
    assert not list((tmp_path / "broken").iterdir())


def test_a_reloading_process_that_dies_is_told_with_its_status(tmp_path: Path) -> None:
    probe = {"input_ids": torch.ones(1, 2, dtype=torch.long), "attention_mask": torch.ones(1, 2, dtype=torch.long)}
    with Fresh() as doomed:
        with pytest.raises(Failure, match="cannot use"):
            doomed.outputs(tmp_path, zoo.saved("encoder"), probe, style="peft:encoder")
        ((process, _),) = doomed._running.values()
        process.kill()
        process.wait()
        with pytest.raises(Failure, match="it ended with status -9"):
            doomed.outputs(tmp_path, zoo.saved("encoder"), probe, style="peft:encoder")
