"""Keeping a worker small: batches of ever-changing lengths fragment glibc's heap and fill oneDNN's caches, which only grow otherwise."""

import ctypes
import os
import sys
from functools import cache

for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    # Compiled bf16 products, one for each shape; 1,024 of each by default, which is gigabytes. Read at the first product.
    os.environ.setdefault(_cache, "64")

EVERY = 16
"""Training steps between two releases: often enough to stay flat, seldom enough to cost nothing."""


PAGES = 1 << 17
"""Bytes from which a tensor gets pages of its own, where memory is short."""
_MMAP_THRESHOLD = -3


@cache
def thrifty() -> None:
    """Let tensors have pages of their own, which go back as soon as they are freed, where the C library can.

    Otherwise glibc keeps what is freed for later, in pieces that fit badly: a step of MiniLM then holds half as much again. It costs page
    faults, of which a large model's products notice nothing.
    """
    libc = _libc()
    if libc is not None and hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, PAGES)


@cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if sys.platform == "linux" else None


def release() -> None:
    """Return the heap's free pages to the system, where the C library can."""
    libc = _libc()
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
