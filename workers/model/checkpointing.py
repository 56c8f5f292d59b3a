"""Blocks whose activations are not kept but computed again in backward: a third more time for a fraction of the memory.

Transformers' own checkpointing works in training mode only, in which frozen dropout would wake; this one goes by the blocks themselves.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from .architecture import blocks_of


@contextmanager
def checkpointed(model: nn.Module, again: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Let the blocks of a model be computed again in the backward passes of what is computed in here.

    `again` is called in forward and gives what each block is computed in when its turn comes: what its hooks were bound to is gone by then.
    """
    blocks = [block for _, block in blocks_of(model)]
    plain = [block.forward for block in blocks]
    own = [vars(block).get("forward") for block in blocks]  # Accelerate's, where a base lies on several devices
    for block, forward in zip(blocks, plain, strict=True):
        block.forward = partial(_once_more, forward, again)
    try:
        yield
    finally:
        for block, hooked in zip(blocks, own, strict=True):
            del block.forward
            if hooked is not None:
                block.forward = hooked


def _once_more(forward: Callable[..., Any], again: Callable[[], AbstractContextManager[Any]], *args: Any, **options: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **options)
    held = again()
    return checkpoint(forward, *args, use_reentrant=False, preserve_rng_state=False, context_fn=lambda: (nullcontext(), held), **options)
