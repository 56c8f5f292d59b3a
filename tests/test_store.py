"""The adapter store keeps what it acknowledged: whole, once, and found out when damaged, whoever dies when."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import safetensors
import torch
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ulpt_search.spaces.errors import Failure, WrongInput
from ulpt_search.workers.training.store import AdapterStore, Unusable

from .privileges import unprivileged

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool)
STATE = {"0.q/a": torch.arange(12.0).reshape(3, 4), "z": torch.tensor(0.1)}


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AdapterStore]:
    if request.param == "folder":
        yield AdapterStore(str(tmp_path / "store"))
        return
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield AdapterStore("memory://adapters")
    memory.store.clear()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(one[name].dtype == other[name].dtype and one[name].equal(other[name]) for name in one)


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text), *arguments]


tensors = st.builds(
    lambda size, dtype, seed: torch.randint(0, 2, size, generator=torch.Generator().manual_seed(seed)).to(dtype),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(words.filter(lambda name: name != "__metadata__"), tensors, max_size=5), st.dictionaries(words, words, max_size=5))
@settings(max_examples=60, deadline=None)
def test_round_trip(state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    store = AdapterStore("memory://round")
    digest = store.put(state, metadata)
    found, told = store.get(digest)
    assert equal(found, state)
    assert told == metadata


def test_files_are_named_by_their_content_and_read_by_stock_safetensors(tmp_path: Path) -> None:
    digest = AdapterStore(str(tmp_path / "store")).put(STATE, {"method": "ulpt"})
    (path,) = files(tmp_path)
    assert path == tmp_path / "store" / digest[:2] / f"{digest}.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    with safetensors.safe_open(path, framework="pt") as file:
        assert file.metadata() == {"method": "ulpt"}
        assert file.get_tensor("0.q/a").equal(STATE["0.q/a"])


def test_same_content_same_name_in_any_order_and_process(store: AdapterStore, tmp_path: Path) -> None:
    metadata = {name: name for name in "qwertyuiop"}
    digest = store.put(STATE, metadata)
    assert store.put(dict(reversed(STATE.items())), dict(reversed(metadata.items()))) == digest
    script = """
        import sys, torch
        from ulpt_search.workers.training.store import AdapterStore
        state = {"z": torch.tensor(0.1), "0.q/a": torch.arange(12.0).reshape(3, 4)}
        print(AdapterStore(sys.argv[1]).put(state, {name: name for name in "poiuytrewq"}))
    """
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "other")], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == digest


@pytest.mark.parametrize("changed", [{**STATE, "z": torch.tensor(0.2)}, {"z": STATE["z"]}, {**STATE, "z": STATE["z"].double()}])
def test_other_content_has_another_name(store: AdapterStore, changed: dict[str, Tensor]) -> None:
    assert store.put(changed, {}) != store.put(STATE, {})


def test_views_gradients_and_shared_memory(store: AdapterStore) -> None:
    base = torch.arange(6.0, requires_grad=True)
    state = {"first": base[:3], "last": base[3:], "turned": base.reshape(2, 3).mT, "whole": base}
    assert equal(store.get(store.put(state, {}))[0], {name: tensor.detach() for name, tensor in state.items()})


def test_has_and_missing(store: AdapterStore) -> None:
    digest = store.put(STATE, {})
    assert store.has(digest)
    absent = "0" * 64
    assert not store.has(absent)
    with pytest.raises(Failure, match=rf"^adapter {absent}: not in the store {store.url}; was the store moved, or another"):
        store.get(absent)


@pytest.mark.parametrize("digest", ["", "ab", "../" * 20 + "etc/passwd", "G" * 64, "A" * 64])
def test_what_is_no_hash_reaches_no_file(store: AdapterStore, digest: str) -> None:
    with pytest.raises(Failure, match="not a sha256"):
        store.get(digest)


@pytest.mark.parametrize("damage", [b"", b"half", b"x"], ids=["emptied", "cut", "flipped"])
def test_damage_is_found_and_healed(tmp_path: Path, damage: bytes) -> None:
    store = AdapterStore(str(tmp_path))
    digest = store.put(STATE, {})
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes({b"half": whole[:50], b"x": whole[:-1] + bytes([whole[-1] ^ 1])}.get(damage, b""))
    with pytest.raises(Failure, match=rf"^adapter {digest}: damaged, {path} now has sha256 \w{{12}}…; restore the file from a copy$"):
        store.get(digest)
    assert store.put(STATE, {}) == digest
    assert path.read_bytes() == whole


HUNDRED = """
    import sys, torch
    from ulpt_search.workers.training.store import AdapterStore
    store = AdapterStore(sys.argv[1])
    for seed in range(100):
        store.put({"w": torch.full((200,), float(seed))}, {"seed": str(seed)})
"""


def test_writers_of_the_same_content(tmp_path: Path) -> None:
    """Three processes write the same hundred adapters while this one reads: never half a file, never a file too many."""
    writers = [subprocess.Popen(program(HUNDRED, str(tmp_path))) for _ in range(3)]
    store, seen = AdapterStore(str(tmp_path)), 0
    while any(writer.poll() is None for writer in writers):
        for path in tmp_path.glob("??/*.safetensors"):
            store.get(path.stem)
            seen += 1
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen
    assert len(files(tmp_path)) == 100


WRITER = """
    import sys, torch
    from ulpt_search.workers.training.store import AdapterStore
    store, seed = AdapterStore(sys.argv[1]), int(sys.argv[2])
    while True:
        print(store.put({"w": torch.full((50_000,), float(seed))}, {"seed": str(seed)}), flush=True)
        seed += 1
"""


def test_kill_9_in_the_middle_of_writing(tmp_path: Path) -> None:
    """Killed at any moment: every name shows a whole file, and what was acknowledged is there."""
    acknowledged: list[str] = []
    for turn in range(3):
        with subprocess.Popen(program(WRITER, str(tmp_path), str(turn * 10_000)), stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            acknowledged += [writer.stdout.readline().strip() for _ in range(3)]
            threading.Timer(0.02 * turn, writer.send_signal, [signal.SIGKILL]).start()
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    store = AdapterStore(str(tmp_path))
    assert len(acknowledged) == len(set(acknowledged)) >= 9
    for digest in acknowledged:
        store.get(digest)
    for path in tmp_path.glob("??/*"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem


def test_what_dead_writers_left_is_cleared_away_later(tmp_path: Path) -> None:
    AdapterStore(str(tmp_path)).put(STATE, {})
    old, new = tmp_path / "aside" / "old", tmp_path / "aside" / "new"
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    AdapterStore(str(tmp_path))
    assert not old.exists()
    assert new.exists(), "its writer may still be at it"


FULL = """
    import resource, signal, sys, torch
    from ulpt_search.spaces.errors import Failure
    from ulpt_search.workers.training.store import AdapterStore
    store = AdapterStore(sys.argv[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        store.put({"w": torch.ones(1000)}, {})
    except Failure as error:
        print(error)
    print(store.put({"w": torch.ones(1)}, {}))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="this system cannot limit a file's size")
def test_no_room(tmp_path: Path) -> None:
    """The system refuses to let the file grow, as it does on a full disk: one line, nothing half-written, small ones go on."""
    told = subprocess.run(program(FULL, str(tmp_path)), capture_output=True, text=True, check=True)
    failure, digest = told.stdout.splitlines()
    assert failure == f"the store {tmp_path} cannot be written: File too large; put that right and run again"
    assert [path.stem for path in files(tmp_path)] == [digest]


def test_store_that_went_away(tmp_path: Path) -> None:
    store = AdapterStore(str(tmp_path / "store"))
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("a file now")
    with pytest.raises(Failure, match=r"store cannot be (read|written): Not a directory; put that right and run again$"):
        store.put(STATE, {})


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        WrongInput, match=r"file/store: cannot be used: .*/file is a file, not a folder; give a folder of yours with --store or --home$"
    ):
        AdapterStore(str(tmp_path / "file" / "store"))


def test_store_that_may_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digest = AdapterStore(name).put(STATE, {})
        for each in (folder, folder / "aside", folder / digest[:2]):
            each.chmod(0o555)
        with unprivileged():
            store = AdapterStore(name)
            assert equal(store.get(digest)[0], STATE)
            with pytest.raises(Failure, match="cannot be written: Permission denied; put that right and run again"):
                store.put({}, {})
        folder.chmod(0o755)


class NoCredentialsError(Exception):
    """Botocore's errors are no `OSError`."""


class Refusing(MemoryFileSystem):  # type: ignore[misc]
    """A store elsewhere whose package refuses everything."""

    protocol = "refusing"

    def _open(self, path: str, *_: Any, **__: Any) -> Any:
        raise NoCredentialsError("Unable to locate credentials")

    cat_file = pipe_file = exists = find = rm_file = _open


def test_errors_of_other_packages_are_the_stores_own() -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    store, digest = AdapterStore("refusing://store"), "a" * 64
    uses: list[Callable[[], object]] = [
        store.mark,
        lambda: store.keep(b"x"),
        lambda: store.read(digest),
        lambda: store.has(digest),
        lambda: list(store.entries()),
        lambda: store.remove(digest),
    ]
    for use in uses:
        with pytest.raises(Unusable, match="Unable to locate credentials; put that right and run again"):
            use()


def test_a_store_whose_package_does_not_start_is_one_line() -> None:
    class Closed(MemoryFileSystem):  # type: ignore[misc]
        def __init__(self) -> None:
            raise NoCredentialsError("Unable to locate credentials")

    fsspec.register_implementation("closed", Closed, clobber=True)
    with pytest.raises(WrongInput, match=r"^--store closed://store: Unable to locate credentials"):
        AdapterStore("closed://store")


def test_a_file_that_cannot_be_deleted_is_said(tmp_path: Path) -> None:
    store = AdapterStore(str(tmp_path))
    digest = store.keep(b"x")
    store.remove("b" * 64)
    file = tmp_path / digest[:2] / f"{digest}.safetensors"
    file.unlink()
    file.mkdir()
    with pytest.raises(Unusable, match="cannot be deleted from"):
        store.remove(digest)


def test_unknown_kinds_of_store() -> None:
    with pytest.raises(WrongInput, match=r"^--store nowhere://x: Protocol not known: nowhere. Give a folder, or a URL"):
        AdapterStore("nowhere://x")


def test_url_of_a_folder_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = AdapterStore(f"file://{tmp_path}/s").put(STATE, {})
    monkeypatch.chdir(tmp_path)
    relative = AdapterStore("s")
    monkeypatch.chdir("/")
    assert relative.has(digest), "a relative path means the folder it was given in"


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08" + b"\x00" * 7 + b"{}      ", b"\xff" * 40], ids=["none", "short", "bare", "huge"])
def test_a_file_of_the_right_hash_may_still_hold_no_adapter(content: bytes, tmp_path: Path) -> None:
    store = AdapterStore(str(tmp_path))
    with pytest.raises(Failure, match="its file holds no adapter"):
        store.get(store.keep(content))
