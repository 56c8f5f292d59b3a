"""Run as a module in a fresh process: load native exports and write their outputs for a probe. Speaks as `stock_process` does."""

from typing import Any

from safetensors.torch import load_file, save_file

from .outputs import trained_reading
from .stock_process import serve
from .use import load_export


def answer(order: dict[str, Any]) -> None:
    """Answer one probe."""
    predictor, inputs = load_export(order["folder"], model=order["base"]), load_file(order["asked"])
    if predictor.pack is None:
        raise ValueError(f"{order['folder']} is not a native export")
    found = trained_reading(predictor.backbone, predictor.pack, inputs)
    save_file({"outputs": found.contiguous()}, order["answered"])


if __name__ == "__main__":
    serve(answer)
