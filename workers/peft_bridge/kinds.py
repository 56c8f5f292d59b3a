"""Which types of the installed PEFT can be tried, and why the others cannot."""

from functools import cache

from ...spaces.errors import WrongInput, did_you_mean
from .wrapping import quiet

PREFIX = "peft:"
STORED = "peft_"
"""How studies name them that were begun before their settings could be given; read for ever, listed nowhere."""

REFUSED = {
    "ADALORA": "it moves its ranks about in a call after every step",
    "ADAMSS": "its count depends on the values of the weights",
    "ADAPTION_PROMPT": "it replaces whole attentions, of a few families of decoders only",
    "BOFT": "it compiles an extension before it starts",
    "CARTRIDGE": "its first tokens are made of a text to be remembered; `prefix` trains keys and values too",
    "CPT": "it needs a role for each token of its prompt",
    "MULTITASK_PROMPT_TUNING": "it needs the number of a task beside each text",
    "OSF": "it trains the weights themselves, not something beside them",
    "POLY": "it needs the number of a task beside each text",
    "PREFIX_TUNING": "it wraps no modules of the model; `prefix` is the same",
    "PROMPT_TUNING": "it wraps no modules of the model; `prompt` is the same",
    "P_TUNING": "it wraps no modules of the model; `p_tuning` is the same",
    "SHADOW": "it trains a second model beside the frozen one",
    "TRAINABLE_TOKENS": "it needs the tokens of the vocabulary that it is to train",
    "XLORA": "it needs adapters that have been trained before",
}
"""Type -> why it takes more than a frozen model and a task, or cannot be counted before it starts."""


def is_peft(name: str) -> bool:
    """Whether a method's name means one of PEFT's."""
    return name.startswith((PREFIX, STORED))


def kind_of(name: str) -> str:
    """Return PEFT's type of a name such as `peft:loha`; `WrongInput` where PEFT has none such or it is refused."""
    kind = name.removeprefix(PREFIX).removeprefix(STORED).upper()
    if kind in usable():
        return kind
    if kind in refused():
        raise WrongInput(f"methods.{name}: PEFT's {kind} cannot be tried here: {refused()[kind]}")
    known = [f"{PREFIX}{one.lower()}" for one in usable()]
    hint = did_you_mean(f"{PREFIX}{kind.lower()}", known)
    raise WrongInput(f"methods.{name}: the installed PEFT has no such type; there are {', '.join(known)}.{hint}")


@cache
def usable() -> dict[str, type]:
    """Type -> its config class, in alphabetical order, of those that wrap modules of a frozen model."""
    return {kind: config for kind, (config, why) in _types().items() if not why}


@cache
def refused() -> dict[str, str]:
    """Type -> why it cannot be tried, in alphabetical order."""
    return {kind: why for kind, (_, why) in _types().items() if why}


@cache
def _types() -> dict[str, tuple[type, str]]:
    with quiet():
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
        from peft.tuners.tuners_utils import BaseTuner
    wraps = {kind for kind, tuner in PEFT_TYPE_TO_TUNER_MAPPING.items() if issubclass(tuner, BaseTuner)}
    configs = {str(kind.value): (config, kind in wraps) for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    return {kind: (config, _why(kind, wraps=own)) for kind, (config, own) in sorted(configs.items())}


def _why(kind: str, *, wraps: bool) -> str:
    return REFUSED.get(kind, "" if wraps else "it does not wrap modules of the model")
