"""Compositions, written flat or nested."""

import pytest

from .space_files import catalogue, error, load


def test_a_composition_is_written_flat_or_nested() -> None:
    flat = load("methods:\n  lora+ia3:\n    lora.rank: 2\n    ia3.modules: [q, v]\n")
    nested = load("methods:\n  lora+ia3:\n    lora: {rank: 2}\n    ia3: {modules: 'q,v'}\n")
    assert flat == nested
    assert flat.methods["lora+ia3"] == {**catalogue("lora+ia3"), "lora.rank": 2, "ia3.modules": "q,v"}
    assert load("methods:\n  lora+ia3:\n    lora:\n").methods["lora+ia3"] == catalogue("lora+ia3")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lora: {rnak: 2}", "4: methods.lora+mask.lora.rnak: unknown hyperparameter; lora+mask has {all}. Did you mean lora.rank?"),
        ("lora.rnak: 2", "4: methods.lora+mask.lora.rnak: unknown hyperparameter; lora+mask has {all}. Did you mean lora.rank?"),
        ("rank: 2", "4: methods.lora+mask.rank: unknown hyperparameter; lora+mask has {all}. Did you mean lora.rank?"),
        ("lora: 2", "4: methods.lora+mask.lora: wanted a mapping of lora's hyperparameters, got 2"),
        ("lora: {rank: 2.5}", "4: methods.lora+mask.lora.rank: wanted a whole number, got 2.5"),
        ("lora: {rank: 1}\n    lora.rank: 2", "5: methods.lora+mask.lora.rank: given twice, here and under lora; keep one"),
    ],
)
def test_a_wrong_composition_names_its_part(given: str, message: str) -> None:
    expected = message.replace("{all}", ", ".join(catalogue("lora+mask")))
    assert error(f"# a comment\nmethods:\n  lora+mask:\n    {given}\n") == f"s.yaml:{expected}"
