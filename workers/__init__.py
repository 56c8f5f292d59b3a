"""How a pack of trials is trained on one frozen model: torch, transformers, datasets and peft; no search, no database."""

import logging

for _name in ("torchao", "torch.utils._pytree", "bitsandbytes"):  # where these are installed, transformers and PEFT import them, and they
    logging.getLogger(_name).setLevel(logging.ERROR)  # tell every process which kernels they have not found
