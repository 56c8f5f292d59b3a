"""How large the numbers of a frozen weight are, the same on every machine."""

import torch


def rms(table: torch.Tensor, *, fallback: float) -> float:
    """Root mean square of a table, `fallback` on the meta device.

    In float64 and rounded to nine digits: a sum in float32 depends on the number of threads, and with it whatever a seed
    regenerates at this scale.
    """
    if table.device.type == "meta":
        return fallback
    root = torch.linalg.vector_norm(table.detach(), dtype=torch.float64) / table.numel() ** 0.5
    return float(f"{float(root):.9g}")
