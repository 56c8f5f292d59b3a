"""Giving freed memory back: batches of ever-changing lengths fragment glibc's heap, which otherwise only grows."""

import ctypes
import sys
from functools import cache

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
