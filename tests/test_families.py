"""Frozen scores of every family's real class equal the plain model's: padded batches of embeddings against single rows of token ids."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model import frozen_scores
from ulpt_search.workers.model.backbone import LOADERS, Backbone, load, shape_of
from ulpt_search.workers.model.pooling import Body
from ulpt_search.workers.model.readouts.choice import readout_of
from ulpt_search.workers.model.readouts.cosine import TEMPERATURE
from ulpt_search.workers.model.readouts.encoding import SUFFIX, encode
from ulpt_search.workers.tasks import Rows

from . import families, toy

REFUSED = {
    "convbert": "its convolutions run over padding into the text",
    "fnet": "it mixes tokens by a Fourier transform over padding, too",
    "funnel": "it pools neighbours, padding among them",
    "mobilebert": "its first layer joins the embeddings of neighbours, padding among them",
    "nystromformer": "its landmarks are means over padding, too",
}
"""Family -> what makes it another model in padded batches of embeddings."""
UNKNOWN = {"deepseek_v32": "the attention of DeepseekV32Attention wants indices, which is not known here"}
"""Family -> what its attention asks for that ours has not."""
AT_THE_DOOR = {
    "gemma3n_text": "every layer of a gemma3n_text looks token ids up again, which a virtual token has not",
    "gemma4_text-layers": "every layer of a gemma4_text looks token ids up again, which a virtual token has not",
    "ibert": r"no blocks to adapt \(looked for members of an nn.ModuleList that hold an nn.Linear or a Conv1D\)",
    "squeezebert": r"no blocks to adapt \(looked for members of an nn.ModuleList that hold an nn.Linear or a Conv1D\)",
    "xlnet": "computes tokens first, rows second",
}
"""Family -> what makes it unfit by its structure, known without its weights."""
SERVED = sorted(set(families.FAMILIES) - set(REFUSED) - set(AT_THE_DOOR) - set(UNKNOWN))
SAMPLE = (
    "bert", "roberta", "modernbert", "deberta", "deberta-v2", "mpnet", "electra", "distilbert",
    "gpt2", "gptj", "opt", "bloom", "falcon", "mpt", "phi3", "phi3-longrope", "llama", "llama-dynamic", "mistral", "gemma2", "gpt_oss",
    "llama4_text", "olmo2",
    "granite", "cohere", "mixtral", "afmoe", "deepseek_v3", "qwen3_next", "mamba", "falcon_h1", "t5", "bart", "pegasus", "led",
    "switch_transformers",
)  # fmt: skip
"""One of each way to be different, for the default suite; `benchmarks/families.py` tries, and keeps what it finds of, every family."""
SHOWN = [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.slow) for name in SERVED]


def rows() -> Rows:
    """Texts of 1 to 24 words, every other with a second text: below and beyond the windows of 4 tokens."""
    words = [f"w{i * 7 % 60}" for i in range(60)]
    lengths = (1, 2, 3, 4, 5, 6, 13, 24)
    firsts = tuple(" ".join(words[i : i + n]) for i, n in enumerate(lengths))
    seconds = tuple(" ".join(words[i + 20 : i + 23 + i]) if i % 2 else None for i in range(len(lengths)))
    return Rows(firsts, seconds, (0,) * len(lengths))


@torch.no_grad()
def plain(name: str) -> Tensor:
    """Label scores (rows, labels) by the family's own class and attention, from what its tokenizer says, one row at a time."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(families.folder(name))
    family = families.backbone(name).family
    model = LOADERS[family].from_pretrained(families.folder(name), config=config, dtype=torch.float32).eval()
    model.set_attn_implementation("eager")  # does nothing where a family has but its own
    tokenizer = families.tokenizer(families.FAMILIES[name])
    texts = rows()
    scored = [_score(model, family, tokenizer, a, b) for a, b in zip(texts.texts_a, texts.texts_b, strict=True)]
    return torch.stack(scored)


def _score(model: Any, family: str, tokenizer: Any, first: str, second: str | None) -> Tensor:
    if family == "encoder":
        text, *labels = (
            _vector(model, tokenizer, one, other) for one, other in ((first, second), *((label, None) for label in toy.LABELS))
        )
        return torch.stack(labels) @ text / TEMPERATURE
    glue = "\n" if family == "decoder" else " "
    given = tokenizer(first if second is None else f"{first}{glue}{second}", return_tensors="pt")
    words = [tokenizer(label, add_special_tokens=False)["input_ids"][0] for label in toy.LABELS]
    if family == "encoder-decoder":
        start = torch.tensor([[model.config.decoder_start_token_id]])
        return model(**given, decoder_input_ids=start).logits[0, 0, words]  # type: ignore[no-any-return]
    suffix = tokenizer(SUFFIX, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[*given["input_ids"][0, :-1].tolist(), *suffix]])  # without the end-of-text token
    return model(input_ids=ids).logits[0, -1, words]  # type: ignore[no-any-return]


def _vector(model: Any, tokenizer: Any, first: str, second: str | None) -> Tensor:
    hidden = model(**tokenizer(first, second, return_tensors="pt")).last_hidden_state
    return normalize(hidden[0].mean(0), dim=-1)


def scored(backbone: Backbone, *, shifted: bool = False) -> Tensor:
    """The same by the product's own code, all rows in one padded batch."""
    data = encode(backbone, rows(), max_tokens=families.POSITIONS)
    every: Sequence[int] = range(len(data.ids))
    return frozen_scores.own_scores(backbone, readout_of(backbone, toy.task()), data, every, shifted=shifted)


@pytest.mark.parametrize("name", SHOWN)
def test_frozen_scores_are_the_plain_models(name: str) -> None:
    wanted = plain(name)
    assert wanted.std() > 0.01, "scores that are all alike would hide a difference"
    for shifted in (False, True):
        assert frozen_scores.relative(scored(families.backbone(name), shifted=shifted), wanted) < 1e-5


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_be_served_is_refused_in_one_line(name: str) -> None:
    backbone = families.backbone(name)
    with pytest.raises(WrongInput, match=r"^model: frozen scores of a \w+ \(\w+\) .* give another model$") as refused:
        frozen_scores.require_same_scores(backbone, readout_of(backbone, toy.task()), encode(backbone, rows(), max_tokens=40))
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", sorted(set(UNKNOWN) & set(families.FAMILIES)))
def test_an_attention_that_asks_for_more_is_refused_in_one_line(name: str) -> None:
    backbone = families.backbone(name)
    with pytest.raises(WrongInput, match=rf"^model: {name} \(\w+\) cannot be run, .*: {UNKNOWN[name]}; give another$"):
        frozen_scores.require_same_scores(backbone, readout_of(backbone, toy.task()), encode(backbone, rows(), max_tokens=40))


@pytest.mark.parametrize("name", sorted(set(AT_THE_DOOR) & set(families.FAMILIES)))
@pytest.mark.parametrize("read", [shape_of, load])
def test_what_cannot_be_shared_is_refused_before_its_weights_are_read(name: str, read: Callable[[ModelSpec], object]) -> None:
    with pytest.raises(WrongInput, match=rf"^model: .*{AT_THE_DOOR[name]}.*; give another model$"):
        read(ModelSpec(str(families.folder(name)), dtype="float32", device="cpu"))


def test_a_hundred_families_at_least_and_a_sample_of_them() -> None:
    """Of the libraries that this project is developed with; older ones have fewer."""
    assert len({tiny.kind for tiny in families.KNOWN.values()}) >= 100
    assert set(SAMPLE) <= set(SERVED)


@pytest.mark.parametrize("name", SHOWN)
def test_its_hidden_states_are_had_apart_from_its_scores(name: str) -> None:
    """A probe and every head read them: the output of a part that holds no map to words."""
    backbone = families.backbone(name)
    body = Body(backbone).module
    assert all(part is not backbone.model.get_output_embeddings() for part in body.modules())
