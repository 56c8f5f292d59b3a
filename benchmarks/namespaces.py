"""Two places on this machine whose wire can be cut: namespaces of networks and processes on a bridge (Linux, root)."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ulpt_search.spaces.errors import Failure

NETWORK = "198.18.64"
"""Of the addresses that are set aside for tests of networks (RFC 2544)."""


@dataclass(frozen=True)
class Place:
    """A namespace with an address, and a folder of its own where the others have theirs."""

    name: str
    address: str
    wire: str
    first: int
    """Process that holds the namespaces."""

    def command(self, words: Sequence[str], *, folder: Path = Path("/")) -> list[str]:
        """Return the words that run a command there, in a folder: with its network, its processes, and its own shared folder."""
        return ["nsenter", f"--target={self.first}", "--net", "--mount", "--pid", f"--wd={folder}", *words]

    def cut(self) -> None:
        """From now on nothing comes through; neither side is told."""
        _ip("link", "set", self.wire, "down")

    def heal(self) -> None:
        """Let everything through again."""
        _ip("link", "set", self.wire, "up")


def missing() -> str:
    """Say what such places need and this machine lacks; empty where it lacks nothing."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if shutil.which("ip") is None:
        return "no ip here: apt-get install iproute2"
    made = subprocess.run(["ip", "netns", "add", f"probe{os.getpid()}"], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "del", f"probe{os.getpid()}")
    return ""


@contextmanager
def places(count: int, *, shared: Path) -> Iterator[tuple[str, list[Place]]]:
    """Yield this side's address on a bridge and so many namespaces on it; all of it goes away again.

    `shared` is a folder in whose stead each has one of its own.
    """
    bridge, here, number = f"br{os.getpid()}", f"{NETWORK}.1", os.getpid()
    with ExitStack() as undo:
        _ip("link", "add", bridge, "type", "bridge")
        undo.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{here}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        yield here, [undo.enter_context(_place(f"p{n}-{number}", bridge, f"{NETWORK}.{n + 2}", here, shared)) for n in range(count)]


@contextmanager
def _place(name: str, bridge: str, address: str, gateway: str, shared: Path) -> Iterator[Place]:
    wire, own = f"w{name}", shared.parent / name
    own.mkdir()
    _ip("netns", "add", name)
    try:
        _ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", wire, "master", bridge)
        _ip("link", "set", wire, "up")
        for words in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "lo", "up"), ("link", "set", "eth0", "up")):
            _ip("-n", name, *words)
        _ip("-n", name, "route", "add", "default", "via", gateway)  # a program that asks for its own address looks where it would go out
        with _first(name, own, shared) as pid:
            yield Place(name, address, wire, pid)
    finally:
        _ip("netns", "del", name)
        shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _first(name: str, own: Path, shared: Path) -> Iterator[int]:
    """The first process of a place, which sees those of its own alone; Ray looks for the raylets of a machine among its processes."""
    script = f"mount --bind {shlex.quote(str(own))} {shlex.quote(str(shared))} && exec sleep infinity"
    words = ["ip", "netns", "exec", name, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    outer = subprocess.Popen(words, start_new_session=True)
    try:
        while not (inner := [child.pid for child in psutil.Process(outer.pid).children() if child.name() == "sleep"]):
            if outer.poll() is not None:
                raise Failure(f"{name}: no namespace of processes can be made here")
            time.sleep(0.05)
        yield inner[0]
    finally:
        outer.kill()
        outer.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
