"""The keys of a space's YAML and their types. Defaults come from the frozen values that they end up in."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from .metrics import names
from .space import (
    Calibration,
    Checkpointing,
    Decline,
    Format,
    LabelTexts,
    ModelSpec,
    Objective,
    Pairs,
    Quantization,
    Scoring,
    Space,
    TaskSpec,
    Training,
    Way,
)
from .validation_errors import Section

Positive = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(min_length=1)]


def _listed(schema: dict[str, Any]) -> None:
    schema["enum"] = list(names())


Metric = Annotated[str, Field(json_schema_extra=_listed)]
"""Ours or another distribution's; `specs.py` sees to it that there is such a one."""
MaskText = Annotated[str, Field(pattern=r"^[^{}]*\{mask\}[^{}]*$", examples=["' It was {mask}.'"])]
"""Holds the gap just once."""

LISTED, GEOMETRIC = "a list", "first and factor"
WEIGHTED, NAMED = "weights", "a name"


class ModelSection(Section):
    """`model`: which frozen model."""

    title = "model"
    wanted = "a name, or a mapping of name, dtype and device"
    name: Name = Field(default=ModelSpec.name, description="minilm (embedded), a folder, or a hub id")
    dtype: Literal["auto", "float32", "bfloat16"] = ModelSpec.dtype
    device: Name = Field(default=ModelSpec.device, description="auto, cpu, cuda, cuda:1, or split: over all GPUs of a worker")
    checkpointing: Checkpointing = Field(default=ModelSpec.checkpointing, description="compute blocks again in backward: less memory")
    quantization: Quantization = Field(default=ModelSpec.quantization, description="bnb-4bit, torchao-8bit: frozen linears in 4 or 8 bits")


class TaskSection(Section):
    """`task`: which data, and where its columns are."""

    title = "task"
    wanted = "a name, or a mapping of name, path, text_a ..."
    name: Name | None = Field(default=None, description="a built-in task, or the name for a local or hub data set")
    definition: Name | None = Field(default=None, description="a task of the papers, by which rows are read: `ulpt-search tasks`")
    path: Name | None = Field(default=None, description="a folder with train/validation(/test) files, or one JSONL, CSV or Parquet file")
    hub: Name | None = Field(default=None, description="a hub data set: owner/name or owner/name:config")
    text_a: Name = Field(default=TaskSpec.text_a, description="a column, or a text with columns in braces: '{question} {answer}'")
    text_b: Name | None = Field(default=TaskSpec.text_b, description="as text_a, of the second text of a pair")
    label: Name = TaskSpec.label
    labels: dict[str, Name] = Field(default_factory=dict, description="label -> the description or label word that stands for it")
    metric: Metric | None = Field(default=None, description="what trials are compared by; by default the task's own")
    metrics: list[Metric] = Field(default_factory=list, description="further metrics, which are reported and decide nothing")
    max_tokens: Positive = TaskSpec.max_tokens
    limit: Positive | None = Field(default=None, description="use at most this many training rows")
    group: Name | None = Field(default=None, description="the column whose equal values say that rows are no independent draws")
    scoring: Scoring = Field(default=TaskSpec.scoring, description="language models: how a label's tokens make its score")
    calibration: Calibration = Field(default=TaskSpec.calibration, description="without_text: less a label's score without the text")
    label_texts: LabelTexts = Field(default=TaskSpec.label_texts, description="what stands for labels that `labels` leaves out")
    pairs: Pairs = Field(default=TaskSpec.pairs, description="apart: the texts of a pair each by itself, for cosines and heads")
    separator: Name | None = Field(default=TaskSpec.separator, description="between the labels of a row that has any number of them")
    readout: Way = Field(default=TaskSpec.readout, description="mask: an encoder fills in label words; numbers: by likelihood, written")
    choices: Name | None = Field(default=TaskSpec.choices, description="a column with each row's own list of choices, for language models")
    mask_text: MaskText = Field(default=TaskSpec.mask_text, description="what stands behind a text where a mask is read")
    format: Format = Field(default=TaskSpec.format, description="how the columns hold the task; auto looks at them")
    template: Name = Field(default=TaskSpec.template, description="conversations: auto, chat, plain, raw, or a Jinja template")
    answer: Name | None = Field(default=None, description="the column with the answer, where a text is answered by a text")
    passage: Name | None = Field(default=None, description="the column that loses its end where a text is too long")
    max_new_tokens: Positive | None = Field(default=None, description="generation: an answer's tokens at most; default the longest's")
    stop: list[Name] = Field(default_factory=list, description="generation: texts that end an answer")
    decoded_rows: Positive = Field(default=TaskSpec.decoded_rows, description="generation: validation rows answered at a rung")


class Geometric(Section):
    """Rungs at first, first·factor, first·factor² … and at the last step."""

    title = "rungs"
    first: Annotated[int, Field(gt=0, examples=[25])]
    factor: Annotated[float, Field(gt=1)] = 2


def _form(value: object) -> str:
    return GEOMETRIC if isinstance(value, dict | Geometric) else LISTED


Listed = Annotated[list[Positive], Field(min_length=1)]
Rungs = Annotated[Annotated[Listed, Tag(LISTED)] | Annotated[Geometric, Tag(GEOMETRIC)], Discriminator(_form)]


def _weights(value: object) -> str:
    return WEIGHTED if isinstance(value, dict) else NAMED


Weight = Annotated[float, Field(gt=0)]
ClassWeights = Annotated[
    Annotated[Literal["none", "balanced"], Tag(NAMED)] | Annotated[dict[str, Weight], Tag(WEIGHTED)], Discriminator(_weights)
]


class SpaceDocument(Section):
    """A whole space file. The axes under `methods` are read against the catalogue, elsewhere."""

    title = "a space"
    model: ModelSection = ModelSection()
    task: TaskSection = TaskSection()
    methods: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1, examples=["{ulpt: }"])]
    steps: Positive | None = Field(default=None, description="training steps of a whole trial; default 200, or the last rung")
    rungs: Rungs | None = Field(default=None, description="steps at which trials are scored and compared; the last equals steps")
    batch: Positive = Training.batch
    warmup: Annotated[float, Field(ge=0, le=1)] = Training.warmup
    clip: Annotated[float, Field(gt=0)] = Training.clip
    schedule: Decline = Field(default=Training.schedule, description="the learning rate after the warm-up")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=Training.weight_decay, description="AdamW's, on what is trained")
    beta1: Annotated[float, Field(ge=0, lt=1)] = Training.beta1
    beta2: Annotated[float, Field(ge=0, lt=1)] = Training.beta2
    epsilon: Annotated[float, Field(gt=0)] = Training.epsilon
    class_weights: ClassWeights = Field(default="none", description="what a row's loss counts: balanced, or label -> weight")
    trials: Positive = Space.trials
    seeds: Positive = Space.seeds
    finalists: Positive = Space.finalists
    objectives: list[Objective] = Field(default=list(Space.objectives), min_length=1)
