"""Run as a module in a fresh process: load a native export and write its outputs for a probe."""

import json
import sys

from safetensors.torch import load_file, save_file

from .outputs import trained_outputs
from .use import load_export


def main(order: dict[str, str]) -> None:
    """Answer one probe."""
    predictor = load_export(order["folder"], model=order["base"])
    if predictor.pack is None:
        raise ValueError(f"{order['folder']} is not a native export")
    outputs = trained_outputs(predictor.backbone, predictor.pack, load_file(order["asked"]))
    save_file({"outputs": outputs.contiguous()}, order["answered"])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
