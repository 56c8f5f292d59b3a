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


@cache
def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if sys.platform == "linux" else None


def release() -> None:
    """Return the heap's free pages to the system, where the C library can."""
    libc = _libc()
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
