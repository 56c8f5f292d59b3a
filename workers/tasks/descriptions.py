"""What stands for the labels of well-known tasks, unless the user says otherwise under `task.labels`.

One text serves encoders (its meaning is compared with that of the row) and language models (its first words are the answer),
so the descriptions of a task begin with different words where that is possible.
"""

from collections.abc import Mapping, Sequence

ENTAILMENT = {
    "entailment": "yes, it follows",
    "not_entailment": "no, it does not follow",
    "neutral": "maybe, it is unclear",
    "contradiction": "no, it contradicts",
}
QUESTIONS = (
    "definition, meaning or reason: what is it, why, how",
    "thing: animal, food, product, sport or colour",
    "abbreviation: what does it stand for",
    "person: who, whose name",
    "place: where, which city or country",
    "number: how many, how long, what year",
)
WELL_KNOWN: tuple[Mapping[str, str], ...] = (
    {"negative": "terrible, a negative opinion", "positive": "great, a positive opinion"},
    {"unacceptable": "wrong, ungrammatical sentence", "acceptable": "correct, grammatical sentence"},
    {"not_equivalent": "different meanings", "equivalent": "same meaning"},
    {"not_duplicate": "different questions", "duplicate": "the same question"},
    {"different": "different senses of the word", "same": "same sense of the word"},
    {"ham": "ham, a message from a friend", "spam": "spam, an advertisement"},
    {"subjective": "opinion: a critic's review of the film", "objective": "plot: what happens to the characters"},
    dict(zip(("description", "entity", "abbreviation", "human", "location", "number"), QUESTIONS, strict=True)),
    dict(zip(("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"), QUESTIONS, strict=True)),
    {
        "World": "world news, politics and war",
        "Sports": "sports",
        "Business": "business and companies",
        "Sci/Tech": "science, technology and the internet",
    },
    {"entails": ENTAILMENT["entailment"], "neutral": ENTAILMENT["not_entailment"]},
    {"entailment": ENTAILMENT["entailment"], "not_entailment": ENTAILMENT["not_entailment"]},
    {label: ENTAILMENT[label] for label in ("entailment", "neutral", "contradiction")},
)
"""Label -> description, one mapping for each set of labels (sst2, cola, mrpc, qqp, wic, sms_spam, subj, trec, agnews,
scitail, rte, mnli and cb)."""


def describe_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """Return what stands for each label: the well-known text, or else the label's own name in plain words."""
    known = next((texts for texts in WELL_KNOWN if set(texts) == set(labels)), {})
    return tuple(known.get(label, name) for label, name in zip(labels, plain_names(labels), strict=True))


def plain_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return each label's own name in plain words, different ones for different labels."""
    plain = {label: label.replace("_", " ").strip(" ?") or label for label in labels}
    # Labels that differ only in such signs keep them: a description must stand for one label.
    readable = plain if len(set(plain.values())) == len(plain) else {label: label for label in labels}
    return tuple(readable[label] for label in labels)
