"""Values of another type than a hyperparameter has: a card or a ledger that was changed may hold them."""

import pytest

from ulpt_search.spaces.axes import Value
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.workers.catalogue import catalogue, method, rules


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("ulpt", {"prompt_length": "7"}, "ulpt.prompt_length: got '7', of type str; wanted int"),
        ("ulpt", {"dim": True}, "ulpt.dim: got True, of type bool; wanted int"),
        ("lora", {"alpha": "x"}, "lora.alpha: got 'x', of type str; wanted float or int"),
        ("lora", {"modules": 3}, "lora.modules: got 3, of type int; wanted str"),
    ],
)
def test_a_value_of_another_type_is_named(name: str, values: dict[str, Value], told: str) -> None:
    with pytest.raises(WrongInput, match=told):
        method(name).create(values)


def test_every_default_and_every_option_is_of_its_type() -> None:
    for made in (*catalogue().values(), *rules().values()):
        made.create(made.defaults())
