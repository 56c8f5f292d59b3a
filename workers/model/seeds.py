"""Random streams: every draw comes from a generator that is a pure function of a few whole numbers."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Generator, Tensor


def generator(*key: int) -> Generator:
    """Return a CPU generator for a key such as (trial seed, part); equal keys give equal streams on every machine."""
    digest = hashlib.sha256(",".join(str(number) for number in key).encode()).digest()
    return Generator("cpu").manual_seed(int.from_bytes(digest[:7], "big"))


def sha256_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a sha256 over names, shapes and bytes, so that what is drawn or read again can be verified."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)  # numpy has no bfloat16
    return digest.hexdigest()
