"""PEFT's own methods under our roof: `peft:NAME` is built by PEFT's code from its own config class, and trained as a pack of one.

`kinds.py` says which types there are and why some are refused, `settings.py` reads a config class as axes, `tuner.py` makes a method of
both, `skeleton.py` counts it without a model, `wrapping.py` lets PEFT wrap the frozen model for the time of a pass.
"""

from .kinds import PREFIX, is_peft, refused, usable
from .tuner import PeftTuner, to_peft, tuner
from .wrapping import holding, injected

__all__ = ["PREFIX", "PeftTuner", "holding", "injected", "is_peft", "refused", "to_peft", "tuner", "usable"]
