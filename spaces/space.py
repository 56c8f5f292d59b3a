"""A parsed search space: everything a study needs to know, as frozen values. `schema.py` makes it from YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .axes import Axis, Value
from .identity import Identity

Objective = Literal["score", "parameters", "bytes"]
Size = Literal["parameters", "bytes"]
Dtype = Literal["auto", "float32", "bfloat16"]
Checkpointing = Literal["auto", "always", "never"]
Quantization = Literal["none", "bnb-4bit", "torchao-8bit"]
BITS: Mapping[Quantization, int] = {"bnb-4bit": 4, "torchao-8bit": 8}
"""In how many each keeps the weights of frozen linears."""
Decline = Literal["linear", "cosine", "constant"]
Scoring = Literal["auto", "sum", "mean", "first"]
Calibration = Literal["none", "without_text"]
LabelTexts = Literal["names", "described"]
Way = Literal["auto", "mask", "numbers"]
Format = Literal["auto", "labels", "messages", "sharegpt", "prompt_completion", "instruction", "question_answer", "columns"]
"""How a file's columns hold a task: texts with labels, or one of the ways in which people write down conversations and answers."""
Pairs = Literal["auto", "joined", "apart"]


@dataclass(frozen=True)
class Reading:
    """How labels are read off a model, where it is up to the user."""

    scoring: Scoring = "auto"
    """Language models: the log-likelihood of all of a label's tokens as it is (sum) or per token (mean), or of its first token alone.

    By default the first token, where it tells the labels apart, else the sum.
    """
    calibration: Calibration = "none"
    """without_text: less the score that the frozen model gives a label when there is no text."""
    label_texts: LabelTexts = "described"
    """What stands for a label that `labels` says nothing of: our description where the set of labels is well known, or its name."""
    pairs: Pairs = "auto"
    """The two texts of a pair joined in one, or each read by itself (apart); auto: apart where an encoder reads numbers off them."""
    way: Way = "auto"
    """numbers: language models read a number off the likelihoods of numbers as they are written."""


@dataclass(frozen=True)
class Decoding:
    """How answers are written where they are: greedily, always."""

    max_new_tokens: int | None = None
    """At most so many tokens, the one that ends an answer among them; None: as many as the longest answer of the training rows has."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer and are no part of it, beside the tokens that the model and the template end answers with."""
    decoded_rows: int = 128
    """Of how many validation rows answers are written at a rung; of finals, of all."""


@dataclass(frozen=True)
class TaskSpec:
    """Which task, and where its columns are."""

    name: str = "pydocs"
    """A built-in task's name, or the name given to a local or hub data set."""
    definition: str | None = None
    """A task of the papers whose kind, metric and labels hold, and on the hub its data set and columns; by its bare name `name` says it."""
    path: str | None = None
    """A folder with train/validation(/test) files, or one file (JSONL, CSV, Parquet)."""
    hub: str | None = None
    """A hub data set, `owner/name` or `owner/name:config`."""
    text_a: str = "text_a"
    """A column, or a text with columns in braces, such as `{question} {answer}`; the next one too."""
    text_b: str | None = "text_b"
    label: str = "label"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Label -> the description (encoders) or the label word (language models) that stands for it."""
    metric: str | None = None
    """A name of `metrics.py`, by which trials are compared; None takes the task's own."""
    metrics: tuple[str, ...] = ()
    """Further ones, which are reported and decide nothing."""
    max_tokens: int = 128
    limit: int | None = None
    """Use at most this many training rows; None uses all."""
    group: str | None = None
    """The column that says which rows belong together, such as those of one document: intervals then count groups. None: each alone."""
    scoring: Scoring = Reading.scoring
    """As in `Reading`, like the next three."""
    calibration: Calibration = Reading.calibration
    label_texts: LabelTexts = Reading.label_texts
    pairs: Pairs = Reading.pairs
    separator: str | None = None
    """Splits a label column's texts into the labels of a row that has any number of them; None: such rows bring lists."""
    readout: Way = "auto"
    """mask: an encoder with a masked language model's head fills the gap in `mask_text` with a label word; numbers: as in `Reading`."""
    choices: str | None = None
    """A column with a list of texts in each row: the row's own choices, of which `label` is the number, counted from 0."""
    mask_text: str = "Answer: {mask}."
    """What stands behind a text, or behind a pair's second, where a mask is read; a space comes between."""
    format: Format = "auto"
    """`auto` looks at the columns."""
    template: str = "auto"
    """How a conversation becomes text: the tokenizer's chat template (`chat`), `plain`, `raw`, or a Jinja template."""
    answer: str | None = None
    """The column with the answer, where a text is to be answered by a text; None goes by the columns' names."""
    passage: str | None = None
    """The column that loses its end where a text is too long; None takes the input, or context, of a known format."""

    max_new_tokens: int | None = Decoding.max_new_tokens
    """As in `Decoding`, like the next two."""
    stop: tuple[str, ...] = Decoding.stop
    decoded_rows: int = Decoding.decoded_rows

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))  # JSON and YAML know lists only
        object.__setattr__(self, "stop", tuple(self.stop))

    @property
    def decoding(self) -> Decoding:
        """How answers are to be written."""
        return Decoding(self.max_new_tokens, self.stop, self.decoded_rows)

    @property
    def mask(self) -> str | None:
        """What a model that is read by a mask has behind its texts; None where none is."""
        return f" {self.mask_text.strip()}" if self.readout == "mask" else None

    @property
    def reading(self) -> Reading:
        """How labels are to be read."""
        return Reading(self.scoring, self.calibration, self.label_texts, self.pairs, self.readout)


@dataclass(frozen=True)
class ModelSpec:
    """Which frozen model."""

    name: str = "minilm"
    """`minilm` (the embedded default), a folder, or a hub id."""
    dtype: Dtype = "auto"
    device: str = "auto"
    mask: str | None = None
    """The text with `{mask}` in it by which an encoder is read as a masked language model; None where it is not."""
    checkpointing: Checkpointing = "auto"
    """Whether blocks are computed again in backward instead of kept; auto: where one trial's step would not fit in memory otherwise."""
    quantization: Quantization = "none"
    """How frozen linears are kept; a folder that holds them in 4 or 8 bits is taken as it is."""


@dataclass(frozen=True)
class Training:
    """How every trial is trained. `steps` is the horizon of the learning-rate schedule and the last rung."""

    steps: int = 200
    rungs: tuple[int, ...] = (25, 50, 100, 200)
    batch: int = 16
    warmup: float = 0.06
    """Share of `steps` over which the learning rate rises linearly; then `schedule` takes over."""
    clip: float = 1.0
    """Largest gradient norm of one trial."""
    schedule: Decline = "linear"
    """How the learning rate goes on after the warm-up: falls to zero linearly or as half a cosine, or stays."""
    weight_decay: float = 0.0
    """AdamW's λ, times the learning rate: by default nothing pulls a prompt's scale to zero."""
    beta1: float = 0.9
    beta2: float = 0.999
    """AdamW's shares of the old moments."""
    epsilon: float = 1e-8
    """AdamW's ε."""
    class_weights: str | Mapping[str, float] = field(default="none", hash=False)
    """What a training row's loss counts by its label: `none`, `balanced` (rows / (labels · rows of the label)), or label -> weight."""


@dataclass(frozen=True)
class Execution:
    """How a pass is computed, as measured on the machine; `auto` goes by what the hardware says it can."""

    dtype: Dtype = "auto"
    """Of the frozen model; what a space asks for goes first."""
    attention: Literal["auto", "eager", "sdpa"] = "auto"
    """Two plain products, or PyTorch's fused kernel."""


@dataclass(frozen=True)
class Setup:
    """What every job of a study shares; small, plain, and all that a worker is told besides the job."""

    model: ModelSpec
    task: TaskSpec
    training: Training
    store: str
    """fsspec URL of the content-addressed adapter store."""
    cache: str | None = None
    """Folder in which the workers of one machine share what is the same for all: tokenised splits, converted weights. None: nothing."""
    execution: Execution = Execution()
    identity: Identity | None = None
    """Of the study; a worker that finds another model or task at its own paths trains nothing. None: there is no study to belong to."""
    mark: str | None = None
    """What tells the driver's store from every other; a worker whose store does not bear it trains nothing. None: unasked."""
    patience: float = 0.0
    """Seconds for which a store is waited for that is away."""


@dataclass(frozen=True)
class Space:
    """What may be tried: methods with their axes, on one model and task, under one training recipe."""

    name: str
    model: ModelSpec
    task: TaskSpec
    training: Training
    methods: Mapping[str, Mapping[str, Axis | Value]]
    """Method -> hyperparameter -> axis, or a fixed value. Hyperparameters left out take the method's own axes."""
    trials: int = 32
    seeds: int = 3
    """Seeds the search draws from: 0 .. seeds-1. ULPT's frozen projection is one draw of it."""
    finalists: int = 3
    """Fresh seeds for each configuration on the frontier."""
    objectives: tuple[Objective, ...] = ("score", "parameters")

    @property
    def size(self) -> Size:
        """What an adapter's size is measured in wherever scores are compared at a size: bytes where these are the objective."""
        return "bytes" if "bytes" in self.objectives and "parameters" not in self.objectives else "parameters"
