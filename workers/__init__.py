"""How a pack of trials is trained on one frozen model: torch, transformers, datasets and peft; no search, no database."""

import logging

for _name in ("torchao", "torch.utils._pytree"):  # where torchao is installed, transformers imports it, and it tells every process
    logging.getLogger(_name).setLevel(logging.ERROR)  # which kernels for GPUs it has not found
