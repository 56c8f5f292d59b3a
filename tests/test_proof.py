"""A proof that can fail: an export whose tensors were zeroed, turned, shuffled, halved or exchanged is refused, and so is another base."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from ulpt_search.workers.catalogue import catalogue
from ulpt_search.workers.exports import export, load_export, readme, stock, verify
from ulpt_search.workers.exports.card import MINILM, Card
from ulpt_search.workers.exports.outside import manifest
from ulpt_search.workers.exports.reloading import Fresh

from . import zoo
from .exporting import fits, setup, task_folder, trained, trial

Tensors = dict[str, Tensor]
CLAIMS = [(name, style) for name, cls in sorted(catalogue().items()) for style in cls.exports]
FILES = {"native": "adapter.safetensors", "peft": "adapter_model.safetensors", "merged": "model.safetensors"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return task_folder(tmp_path_factory.mktemp("proof"))


def made(folder: Path, name: str, style: str, out: Path, fresh: Fresh, *, family: str = "encoder") -> Path:
    """An export of a trained trial."""
    config, here = trial(family, name), setup(family, folder)
    export(here, config, trained(here, config), style=style, out=out, fresh=fresh)
    return out


def zeroed(tensors: Tensors) -> Tensors:
    return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}


def halved(tensors: Tensors) -> Tensors:
    return {name: tensor / 2 for name, tensor in tensors.items()}


def permuted(tensors: Tensors) -> Tensors:
    """Every tensor's numbers in another order."""
    return {
        name: tensor.flatten()[torch.randperm(tensor.numel(), generator=torch.Generator().manual_seed(1))].view_as(tensor)
        for name, tensor in tensors.items()
    }


def flipped(tensors: Tensors) -> Tensors:
    """The other sign; of a product, one factor's."""
    factors = {name for name in tensors if "lora_A" in name}
    return {name: tensor if name in factors else -tensor for name, tensor in tensors.items()}


def swapped(tensors: Tensors) -> Tensors:
    """Layer 0's tensors in layer 1, and the other way round."""
    other = {name: re.sub(r"(?<![\w])([01])(?=\.)", lambda found: str(1 - int(found[1])), name) for name in tensors}
    return {name: tensors.get(other[name], tensor) for name, tensor in tensors.items()}


CORRUPTIONS: tuple[Callable[[Tensors], Tensors], ...] = (zeroed, halved, permuted, flipped, swapped)


def corrupt(path: Path, change: Callable[[Tensors], Tensors], style: str, family: str = "encoder") -> bool:
    """Change the export's tensors as a wrong writer would, its card agreeing; whether anything changed. Indices are left alone."""
    head = path / "2_Dense" / "model.safetensors"
    file = head if head.is_file() else path / FILES[style]
    before = safetensors.torch.load_file(file)
    learnt = {name: tensor for name, tensor in before.items() if tensor.is_floating_point()}
    folded = style == "merged" and file != head
    if folded:  # what the adapter changed, not the frozen weights
        base = zoo.model(family).state_dict()
        learnt = {name: tensor - base[name] for name, tensor in learnt.items() if not torch.equal(tensor, base[name])}
    after = change(learnt)
    if folded:
        learnt, after = ({name: base[name] + delta for name, delta in each.items()} for each in (learnt, after))
    if all(torch.equal(after[name], learnt[name]) for name in learnt):
        return False
    safetensors.torch.save_file(
        {**before, **{name: tensor.contiguous() for name, tensor in after.items()}}, file, metadata={"format": "pt"}
    )
    agree(path)
    return True


def agree(path: Path) -> None:
    """Let the card say that the files as they are now are what was written."""
    card = Card.read(path)
    replace(card, files={name: digest for name, digest in manifest(path).items() if name != "ulpt.json"}).write(path)


def moved(path: Path) -> float:
    """How far a native export's outputs are from the trained ones, beside the effect, by this process."""
    card = Card.read(path)
    assert card.evidence is not None
    found = load_export(path).scores(card.evidence.rows)
    from ulpt_search.workers.exports.evidence import unpack

    wanted = unpack(card.evidence.scores.trained, card.evidence.scores.width)
    return float((found - wanted).norm()) / card.evidence.scores.effect


def refusals(good: Path, style: str, room: Path, fresh: Fresh, *, family: str = "encoder") -> int:
    """How many ways of spoiling an export are refused, as all must be that change what it computes."""
    refused = 0
    for change in CORRUPTIONS:
        bad = Path(shutil.copytree(good, room / change.__name__))
        if not corrupt(bad, change, style, family):
            continue
        symmetric = style == "native" and moved(bad) < 1e-4
        verdict = verify(bad, fresh=fresh)
        assert verdict.fine == symmetric, f"{style}, {change.__name__}: {verdict.checks}"
        assert symmetric or verdict.failed.name == "outputs"  # type: ignore[union-attr]
        refused += not symmetric
    return refused


LONG = ("adamix",)
"""A router between experts: minutes on a busy machine."""


@pytest.mark.parametrize(
    ("name", "style"), [claim if claim[0] not in LONG else pytest.param(*claim, marks=pytest.mark.slow) for claim in CLAIMS]
)
def test_what_computes_something_else_is_refused(name: str, style: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    if fits("encoder", name, style) is None:
        pytest.skip(f"{name} has no {style} form on the encoder")
    good = made(folder, name, style, tmp_path / "good", fresh)
    assert verify(good, fresh=fresh).fine
    assert refusals(good, style, tmp_path, fresh) >= 3, f"{name} as {style}: nothing could be made wrong about it"


FAMILIES = {"encoder": ("lora", "prompt"), "decoder": ("lora", "prefix"), "encoder-decoder": ("lora", "prompt")}
RUNNER = """
import contextlib, io, json, os, sys, warnings
warnings.simplefilter("ignore")
for where, lines in json.load(sys.stdin):
    os.chdir(where)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(lines, {"__name__": "__main__"})
    print(json.dumps(out.getvalue()))
"""


def snippets(path: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (path / "README.md").read_text(encoding="utf8"), flags=re.DOTALL)


def run(jobs: list[tuple[Path, str]], **environment: str) -> list[str]:
    """What each piece of code prints, run in its folder by a fresh process."""
    told = json.dumps([(str(where), lines) for where, lines in jobs])
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=told, check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line).strip().splitlines()[-1] for line in done.stdout.splitlines()]


def edited(lines: str, out: Path, base: str) -> str:
    """The lines after what their comments ask for."""
    here = re.sub(r'^HERE = "\."(?=  # edit: )', f"HERE = {str(out)!r}", lines, flags=re.MULTILINE)
    return re.sub(r"^BASE, REVISION = .*(?=  # edit: )", f"BASE, REVISION = {base!r}, None", here, flags=re.MULTILINE)


@pytest.mark.parametrize("family", ["encoder", "decoder", pytest.param("encoder-decoder", marks=pytest.mark.slow)])
def test_the_lines_of_a_readme_run_as_they_stand(family: str, folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    """In the export's folder as they are; from an empty one after the edits that they name."""
    (tmp_path / "empty").mkdir()
    jobs, wanted = [], []
    for name in FAMILIES[family]:
        for style in ("native", "peft", "merged"):
            if fits(family, name, style) is None:
                continue
            out = made(folder, name, style, tmp_path / f"{name}-{style}", fresh, family=family)
            evidence = Card.read(out).evidence
            assert evidence is not None
            (answer,) = load_export(out)([evidence.texts[-1][0]])
            found = snippets(out)
            assert len(found) == 1 + (family == "encoder" and style == "merged")
            jobs += [(out, found[0]), *((tmp_path / "empty", edited(lines, out, zoo.saved(family))) for lines in found)]
            wanted += [answer] * (1 + len(found))
    for printed, answer in zip(run(jobs), wanted, strict=True):
        label, chance = printed.split()
        assert label == answer["label"]
        assert float(chance) == pytest.approx(answer["probability"], abs=2e-4)


def test_the_lines_find_a_model_from_the_hub_by_id_and_commit(folder: Path, tmp_path: Path, fresh: Fresh) -> None:
    """The hub's cache holds the tiny model under the id and commit of the embedded one; nothing else could find it, offline."""
    out = made(folder, "lora", "peft", tmp_path / "out", fresh)
    readme.write(out, replace(Card.read(out), backbone="minilm", revision=MINILM[1]))
    stock.name_base(out, *MINILM)
    kept = tmp_path / "cache" / "hub" / f"models--{MINILM[0].replace('/', '--')}"
    shutil.copytree(zoo.saved("encoder"), kept / "snapshots" / MINILM[1])
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    (lines,) = snippets(out)
    auto = 'from peft import AutoPeftModel\nprint(type(AutoPeftModel.from_pretrained(".").get_base_model()).__name__)'
    printed, loaded = run([(out, lines), (out, auto)], HF_HOME=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
    assert printed.split()[0] in {"red", "green", "blue"}
    assert loaded == "BertModel"
