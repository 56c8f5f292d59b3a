"""Tokens kept for other workers: the same as without, made once, made again where the file is damaged."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.model.readouts.encoding import Encoded
from ulpt_search.workers.tasks import load_task
from ulpt_search.workers.training import tokens

from . import task_files, toy, zoo

TWO = """
import pathlib, sys, time, torch
from ulpt_search.workers.model.node_cache import once

def make():
    print("made")
    time.sleep(0.5)
    return {"numbers": torch.ones(3)}

print(int(once(pathlib.Path(sys.argv[1], "x.safetensors"), make)["numbers"].sum()))
"""


def kept(family: str, folder: Path | None, *, max_tokens: int = 32) -> dict[str, Encoded]:
    return tokens.encoded(zoo.backbone(family), toy.task(), max_tokens=max_tokens, folder=folder)


def equal(one: dict[str, Encoded], other: dict[str, Encoded]) -> bool:
    arrays = all(np.array_equal(one[s].tokens, other[s].tokens) and np.array_equal(one[s].offsets, other[s].offsets) for s in other)
    return arrays and all(one[split].targets == other[split].targets for split in other)


def refuse(*_: object, **__: object) -> Encoded:
    raise AssertionError("tokenised again")


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_kept_tokens_are_the_plain_ones_and_made_once(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = kept(family, None)
    assert equal(kept(family, tmp_path), plain)
    monkeypatch.setattr(tokens, "encode", refuse)
    assert equal(kept(family, tmp_path), plain)


def test_other_limits_and_other_tasks_have_tokens_of_their_own(tmp_path: Path) -> None:
    kept("encoder", tmp_path)
    assert max(kept("encoder", tmp_path, max_tokens=6)["train"].lengths) <= 6
    tokens.encoded(zoo.backbone("encoder"), replace(toy.task(), digest="other"), max_tokens=32, folder=tmp_path)
    assert len(list((tmp_path / "tokens").glob("*.safetensors"))) == 9


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_file_is_made_again(cut: bool, tmp_path: Path) -> None:
    plain = kept("encoder", tmp_path)
    copies = {split: Encoded(data.tokens.copy(), data.offsets.copy(), data.targets) for split, data in plain.items()}
    for path in (tmp_path / "tokens").glob("*.safetensors"):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-9] if cut else data[:-1] + bytes([data[-1] ^ 1]))
    assert equal(kept("encoder", tmp_path), copies)


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert equal(kept("encoder", tmp_path / "file"), kept("encoder", None))


def test_of_two_processes_at_once_one_makes_and_both_have(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(said) == [["3"], ["made", "3"]]


def test_a_batch_is_padded_on_the_right() -> None:
    data = Encoded(np.array([5, 6, 7, 8], np.int32), np.array([0, 1, 4]), (2, 0))
    ids, lengths, targets = data.batch([1, 0], pad=9, device=torch.device("cpu"))
    assert ids.tolist() == [[6, 7, 8], [5, 9, 9]]
    assert (lengths.tolist(), targets.tolist()) == ([3, 1], [0, 2])


def test_another_template_gets_tokens_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is the tokenizer's, and differs by one sign."""
    rows = [{"question": f"w{i}", "answer": f"w{i + 1}"} for i in range(20)]
    path, model = str(task_files.write(tmp_path / "rows.jsonl", rows)), zoo.backbone("decoder")
    found = []
    for template in ("plain", "raw"):
        task = load_task(TaskSpec(path=path, template=template))
        found.append(tokens.encoded(model, task, max_tokens=32, folder=tmp_path / "cache")["train"])
    for sign in ("w7", "w8"):
        own = "{% for m in messages %}{{ m.content }} " + sign + " {% endfor %}"
        monkeypatch.setattr(model.tokenizer, "chat_template", own)
        found.append(tokens.encoded(model, load_task(TaskSpec(path=path)), max_tokens=32, folder=tmp_path / "cache")["train"])
    assert len({tuple(one.tokens.tolist()) for one in found}) == 4
