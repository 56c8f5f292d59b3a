"""Caches that are damaged in every way a disk knows: what they held is made anew, the same, and nobody is told of an error."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import Backbone, load
from ulpt_search.workers.model.hash_cache import Files, HashCache
from ulpt_search.workers.model.node_cache import once
from ulpt_search.workers.model.shared_weights import share_weights

from . import toy, zoo
from .privileges import unprivileged
from .test_tokens import equal, kept


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.unlink()  # whoever has mapped the old file keeps it
    path.write_bytes(data)


def _cut(path: Path, length: int) -> None:
    data = path.read_bytes()[:length]
    path.unlink()
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unreadable(path: Path) -> None:
    path.chmod(0)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": lambda path: _cut(path, 0),
    "cut in its header": lambda path: _cut(path, 20),
    "cut in its data": lambda path: _cut(path, path.stat().st_size - 9),
    "a bit of its header's length": lambda path: _flip(path, 0),
    "a bit of its header": lambda path: _flip(path, 14),
    "a bit of its data": lambda path: _flip(path, path.stat().st_size - 1),
    "a folder": _folder,
    "unreadable": _unreadable,
}


@pytest.fixture(params=DAMAGES, ids=lambda name: name.replace(" ", "-"))
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return DAMAGES[request.param]


def test_damaged_tokens_are_made_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    kept("encoder", tmp_path)
    files = list((tmp_path / "tokens").glob("*.safetensors"))
    assert len(files) == 3
    for file in files:
        damage(file)
    assert equal(kept("encoder", tmp_path), kept("encoder", None))


def own() -> Backbone:
    return load(ModelSpec(zoo.saved("gpt2"), dtype="bfloat16", device="cpu"))


def test_scores_out_of_damaged_weights_are_those_of_a_fresh_run(damage: Callable[[Path], None], tmp_path: Path) -> None:
    share_weights(own(), tmp_path)
    (file,) = (tmp_path / "weights").glob("*.safetensors")
    damage(file)
    again, fresh = own(), own()
    share_weights(again, tmp_path)
    config = ("prompt", {"prompt_length": 2, "lr": 0.05}, 3)
    found = [toy.train(backbone, [config], steps=2)[2] for backbone in (again, fresh)]
    assert torch.equal(*found)


def test_every_byte_of_a_kept_file_counts(tmp_path: Path) -> None:
    """A bit of each of its bytes, one after the other."""
    path, true = tmp_path / "x.safetensors", torch.arange(5, dtype=torch.int32)
    once(path, lambda: {"numbers": true})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.unlink()
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        kept_or_made = once(path, lambda: {"numbers": true})
        assert torch.equal(kept_or_made["numbers"], true), place


def test_a_file_that_may_not_be_read_is_made_anew_for_an_ordinary_user() -> None:
    """Root may read anything, so this is asked as nobody."""
    true = torch.arange(5)
    with TemporaryDirectory(dir="/tmp") as name:
        path = Path(name, "x.safetensors")
        path.parent.chmod(0o777)
        once(path, lambda: {"numbers": true})
        path.chmod(0)
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
        with unprivileged():
            with pytest.raises(PermissionError):
                path.read_bytes()
            assert torch.equal(once(path, lambda: {"numbers": true})["numbers"], true)


def hashed(folder: Path, files: Files) -> str:
    return HashCache(folder).get("weights", files, lambda: "ab" * 32)


def test_a_remembered_hash_that_is_damaged_is_computed_anew(damage: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    files = Files.of([tmp_path / "model"])
    assert hashed(tmp_path, files) == "ab" * 32
    (place,) = (tmp_path / "identity").iterdir()
    damage(place)
    assert hashed(tmp_path, files) == "ab" * 32


def test_a_remembered_hash_with_any_byte_changed_is_never_believed(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    files = Files.of([tmp_path / "model"])
    hashed(tmp_path, files)
    (place,) = (tmp_path / "identity").iterdir()
    whole = place.read_bytes()
    for at in range(len(whole)):
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert hashed(tmp_path, files) == "ab" * 32, at


def test_a_remembered_hash_of_other_files_is_never_believed(tmp_path: Path) -> None:
    for name in ("model", "other"):
        (tmp_path / name).write_bytes(name.encode())
    one, other = Files.of([tmp_path / "model"]), Files.of([tmp_path / "other"])
    hashed(tmp_path, one)
    (place,) = (tmp_path / "identity").iterdir()
    HashCache(tmp_path).get("weights", other, lambda: "cd" * 32)
    (second,) = {*(tmp_path / "identity").iterdir()} - {place}
    place.replace(second)
    assert HashCache(tmp_path).get("weights", other, lambda: "cd" * 32) == "cd" * 32
