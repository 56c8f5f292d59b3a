"""Space files for tests: written to an empty folder, read against a small catalogue of made-up methods."""

from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ulpt_search.spaces.axes import Axis, Choice, Float, Int
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.schema import load_space
from ulpt_search.spaces.space import Space
from ulpt_search.spaces.user_methods import Catalogue

LAYERS = Choice(("all", "last:50%"))
AXES: dict[str, dict[str, Axis]] = {
    "lora": {"rank": Int(1, 16, log=True), "alpha": Float(1.0, 64.0), "lr": Float(1e-4, 0.1, log=True)},
    "ia3": {"layers": LAYERS, "modules": Choice(("k,v", "all")), "gate": Choice((True, False)), "init": Choice(("ones", "normal"))},
    "mask": {"keep": Float(0.0, 1.0), "blocks": Choice((1, 2, 4)), "width": Choice(("auto", 8))},
}


def catalogue(method: str) -> Mapping[str, Axis]:
    """The methods of these tests; like the real one, it names its key and knows compositions."""
    parts = method.split("+")
    for part in parts:
        if part not in AXES:
            raise WrongInput(f"methods.{part}: unknown method; there are {', '.join(AXES)}.")
    return AXES[method] if len(parts) == 1 else {f"{part}.{name}": axis for part in parts for name, axis in AXES[part].items()}


def load(text: str, *overrides: str, methods: Catalogue = catalogue) -> Space:
    """The space written as `text` in a file `s.yaml`."""
    with TemporaryDirectory() as folder, chdir(folder):
        Path("s.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
        return load_space("s.yaml", catalogue=methods, overrides=overrides)


def error(text: str, *overrides: str) -> str:
    """The line that a user reads who wrote `text`."""
    with pytest.raises(WrongInput) as caught:
        load(text, *overrides)
    return str(caught.value)
