"""Bringing tensors to the device without waiting until it has done what it is at."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a CPU tensor on the device; later operations there find it complete, and the host goes on at once."""
    # From memory that may be paged out, CUDA copies in turn with the queue of kernels, whatever non_blocking says.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
