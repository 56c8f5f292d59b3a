"""Fresh processes that load an export as its user will, to be compared with what was trained."""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import safetensors.torch
from torch import Tensor

from ...spaces.errors import Failure
from ...spaces.space import Quantization
from ..model.quantised import bits_of
from ..model.text_part import KEYS


class Fresh:
    """A process for native exports and one, which never imports this package, for all others; each is started by its first export.

    Use as a context manager; one serves any number of exports, since it takes seconds to start.
    """

    def __init__(self) -> None:
        self._running: dict[bool, tuple[subprocess.Popen[str], IO[str]]] = {}

    def __enter__(self) -> "Fresh":
        return self

    def __exit__(self, *_: object) -> None:
        for process, errors in self._running.values():
            process.communicate()
            errors.close()
        self._running.clear()

    def outputs(
        self, folder: Path, base: str, inputs: dict[str, Tensor], *, style: str, quantization: Quantization = "none"
    ) -> dict[str, Tensor]:
        """`outputs` (rows, width) of the export in `folder`, of `style` `format:family`, where labels are read.

        With the format `base`, those of the frozen model `base` itself; with `peft`, these are there beside them as `base`. The frozen
        model is kept as `quantization` says.
        Raises `Failure` with the library's own line where it cannot be loaded.
        """
        with tempfile.TemporaryDirectory() as room:
            asked, answered = Path(room, "asked.safetensors"), Path(room, "answered.safetensors")
            safetensors.torch.save_file(inputs, asked)
            places = {"folder": str(folder), "base": base, "asked": str(asked), "answered": str(answered)}
            order = {**places, "style": style, "keys": dict(KEYS), "bits": bits_of(quantization)}
            error = self._ask(order, native=style.startswith("native"))
            if error is not None:
                raise Failure(f"the reloading process cannot use {folder.name}: {error}")
            return safetensors.torch.load_file(answered)

    def _ask(self, order: dict[str, Any], *, native: bool) -> str | None:
        if native not in self._running:
            self._running[native] = _start(native=native)
        process, errors = self._running[native]
        try:
            print(json.dumps(order), file=process.stdin, flush=True)
            reply = process.stdout.readline() if process.stdout else ""
        except BrokenPipeError:
            reply = ""
        if reply:
            error: str | None = json.loads(reply)["error"]
            return error
        del self._running[native]
        return f"it ended with status {_end(process)}: {_last_line(errors)}"


def _start(*, native: bool) -> tuple[subprocess.Popen[str], IO[str]]:
    """Start the process; its stderr goes to a file, which cannot fill up as a pipe can."""
    program = ["-m", f"{__package__}.native_process"] if native else ["-I", str(Path(__file__).with_name("stock_process.py"))]
    errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process runs
    command = [sys.executable, "-W", "ignore", *program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True), errors


def _end(process: subprocess.Popen[str]) -> int:
    """Close the pipes of a process that has gone, and return its status."""
    with contextlib.suppress(BrokenPipeError), process:
        pass
    return process.wait()


def _last_line(errors: IO[str]) -> str:
    with errors:
        errors.seek(0)
        return (errors.read().strip().splitlines() or ["no message"])[-1]
