"""What a README says of a base in few bits, and the lines by which stock transformers makes or loads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...spaces.space import BITS, Quantization
from ..model.four_bits import SETTINGS
from .card import Card


@dataclass(frozen=True)
class Making:
    """How the lines make one kind of weights."""

    told: str
    """For people."""
    settings: str
    """Transformers' class for them."""
    arguments: str
    imports: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    """Lines once the model is there."""


KINDS: Mapping[Quantization, Making] = {
    "bnb-4bit": Making(
        "bitsandbytes' NF4",
        "BitsAndBytesConfig",
        ", ".join(f"{name}={value!r}" for name, value in SETTINGS.items()),
        behind=(
            "for module in model.modules():",
            '    if hasattr(module, "compute_type_is_set"):  # in 4 bits: multiplied in float32, whatever the folder or the CPU would take',
            "        module.compute_dtype, module.compute_type_is_set = torch.float32, True",
            "        module.support_avx512bf16_for_cpu = False",
        ),
    ),
    "torchao-8bit": Making(
        "torchao's int8, one scale an output",
        "TorchAoConfig",
        "Int8WeightOnlyConfig(set_inductor_config=False)",
        imports=("from torchao.quantization import Int8WeightOnlyConfig",),
    ),
}


def heading(card: Card) -> str:
    """In which weights the frozen model is, and what reads them; nothing of plain ones."""
    if card.quantization == "none":
        return ""
    made = "as its folder holds them" if card.holds_bits else KINDS[card.quantization].told
    return f" in {BITS[card.quantization]} bits ({made}; `pip install 'ulpt-search[quantized]'`), and no other"


def makes(card: Card) -> bool:
    """Whether the lines put whole weights in few bits: what a folder holds itself, no argument overrides."""
    return card.quantization != "none" and not card.holds_bits


def imported(card: Card) -> list[str]:
    """What else the lines import of transformers."""
    return [KINDS[card.quantization].settings] if makes(card) else []


def imports(card: Card) -> tuple[str, ...]:
    """Further lines of imports."""
    return KINDS[card.quantization].imports if makes(card) else ()


def settings(card: Card) -> str:
    """The line that makes `BITS`, behind others; nothing where none is made."""
    made = KINDS[card.quantization] if makes(card) else None
    return "" if made is None else f"\nBITS = {made.settings}({made.arguments})"


def placed(card: Card) -> str:
    """Further arguments of `from_pretrained`: without a device, transformers takes a GPU where there is one."""
    bits = ", quantization_config=BITS" if makes(card) else ""
    return "" if card.quantization == "none" else bits + ', device_map={"": "cpu"}'


def behind(card: Card) -> tuple[str, ...]:
    """Lines once the model is there, so that it computes in float32."""
    return () if card.quantization == "none" else KINDS[card.quantization].behind
