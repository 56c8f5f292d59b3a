"""Train, validation and test that share no text; those that are missing are carved as the prompt-tuning papers do.

Where a public test split has no labels, the papers follow one convention (Karimi Mahabadi et al. 2021, Compacter, arXiv
2106.04647; then ATTEMPT 2205.11961, MPT 2303.02861, ULPT 2502.04501): below 10,000 training rows, half of the validation
split becomes the test split; from there on, 1,000 training rows become the validation split and the official
validation split becomes the test split.

Which rows are taken is decided by a hash of their text, so the order of the file does not matter, nor does the machine.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ...spaces.errors import WrongInput
from .task import Rows

LARGE = 10_000
"""Training rows from which a data set counts as large."""
CARVED = 1_000
"""Rows that a large training split gives away."""
SHARE = 0.2
"""Part of the training rows that becomes validation (and test) where nothing official could: at most `CARVED` rows each."""

SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev", "validation_matched"),
    "test": ("test", "test_matched"),
}
"""Split -> what data sets call it."""

RULE = "ulpt-search split 0"
"""Named in every hash by which rows are chosen: another rule needs another name."""


@dataclass(frozen=True)
class Splits:
    """Three splits, and in words what was done to get them."""

    train: Rows
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = field(default=())


def arrange(name: str, train: Rows, validation: Rows | None, test: Rows | None, *, stratified: bool, limit: int | None = None) -> Splits:
    """Return three splits without a text in common, with at most `limit` training rows.

    `stratified` keeps the shares of the labels wherever rows are chosen. Raises `WrongInput` where rows are too few.
    """
    splits = _complete(name, train, validation, test, stratified=stratified)
    splits = _without_overlap(splits)
    for split, rows in (("training", splits.train), ("validation", splits.validation), ("test", splits.test)):
        if not rows:
            raise WrongInput(f"{name}: no {split} rows are left that no other split has too; give {split} rows of their own")
    if limit is None or limit >= len(splits.train):
        return splits
    classes = len(set(_strata(splits.train))) if stratified else 2
    if limit < classes:
        raise WrongInput(f"{name}: task.limit is {limit}, fewer than the {classes} labels; set it to {classes} or more")
    chosen, _ = _cut(splits.train, limit, "limit", stratified=stratified)
    return Splits(chosen, splits.validation, splits.test, (*splits.notes, f"{limit:,} of {len(splits.train):,} training rows are used"))


def _complete(name: str, train: Rows, validation: Rows | None, test: Rows | None, *, stratified: bool) -> Splits:
    if validation is not None and test is not None:
        return Splits(train, validation, test)
    if validation is None:
        size = min(CARVED, int(SHARE * len(train)))
        if size < 1:
            raise WrongInput(f"{name}: {len(train)} rows are too few to split; give a validation file, or {round(1 / SHARE)} rows or more")
        return _from_train(train, test, size, stratified=stratified)
    if len(train) >= LARGE:
        carved, rest = _cut(train, CARVED, "validation", stratified=stratified)
        return Splits(rest, carved, validation, (f"{len(carved):,} training rows became validation, the validation split became test",))
    if len(validation) < 2:
        raise WrongInput(f"{name}: {len(validation)} validation row cannot be halved into validation and test; give a test file")
    half, other = _cut(validation, len(validation) // 2, "test", stratified=stratified)
    return Splits(train, other, half, ("half of the validation split became test",))


def _from_train(train: Rows, test: Rows | None, size: int, *, stratified: bool) -> Splits:
    validation, rest = _cut(train, size, "validation", stratified=stratified)
    if test is not None:
        return Splits(rest, validation, test, (f"{len(validation):,} training rows became validation",))
    test, rest = _cut(rest, size, "test", stratified=stratified)
    even = len(validation) == len(test)
    told = f"{len(test):,} training rows each" if even else f"{len(validation):,} and {len(test):,} training rows"
    return Splits(rest, validation, test, (f"{told} became validation and test",))


def _without_overlap(splits: Splits) -> Splits:
    """Keep a shared text in test, else in validation: the scored splits stay as published where they can."""
    test = _texts(splits.test)
    validation, twice = _without(splits.validation, test)
    train, seen = _without(splits.train, test | _texts(validation))
    notes = list(splits.notes)
    if twice:
        notes.append(f"dropped from validation, since their text is in test: {twice:,}")
    if seen:
        notes.append(f"dropped from training, since their text is in validation or test: {seen:,}")
    return Splits(train, validation, splits.test, tuple(notes))


def _without(rows: Rows, texts: Collection[tuple[str, str]]) -> tuple[Rows, int]:
    kept = [number for number, text in enumerate(_keys(rows)) if text not in texts]
    return rows.take(kept), len(rows) - len(kept)


def _texts(rows: Rows) -> set[tuple[str, str]]:
    return set(_keys(rows))


def _keys(rows: Rows) -> list[tuple[str, str]]:
    """The pair of texts of each row; white space makes no difference. Of conversations, how they open: they share no later turn then."""
    if rows.conversations:
        return [(talk.opening, "") for talk in rows.conversations]
    return [(" ".join(a.split()), " ".join((b or "").split())) for a, b in zip(rows.texts_a, rows.texts_b, strict=True)]


def _cut(rows: Rows, count: int, purpose: str, *, stratified: bool) -> tuple[Rows, Rows]:
    """Return `count` rows and the rest, both in the order they had."""
    if (rows.groups or rows.conversations) and purpose != "limit":
        return _cut_groups(rows, rows.groups or tuple(talk.opening for talk in rows.conversations), count, purpose)
    strata = _strata(rows) if stratified else (0,) * len(rows)
    ranks = [hashlib.sha256(f"{RULE} {purpose}\n{a}\n{b}".encode()).digest() for a, b in _keys(rows)]
    left = quotas(Counter(strata), count)
    chosen = set()
    for number in sorted(range(len(rows)), key=ranks.__getitem__):
        if left[strata[number]]:
            left[strata[number]] -= 1
            chosen.add(number)
    return rows.take(sorted(chosen)), rows.take(number for number in range(len(rows)) if number not in chosen)


def _strata(rows: Rows) -> tuple[float, ...]:
    """Each row's label; of several the one that fewest rows have, -1 where there is none: no split should go without a rare label."""
    if not rows.sets:
        return rows.labels
    seen = Counter(label for own in rows.sets for label in own)
    return tuple(min(own, key=lambda label: (seen[label], label), default=-1) for own in rows.sets)


def _cut_groups(rows: Rows, groups: Sequence[str], count: int, purpose: str) -> tuple[Rows, Rows]:
    """Return whole groups, as many as hold `count` rows, one at least and all but one at most, and the rest."""
    names = sorted(set(groups), key=lambda name: hashlib.sha256(f"{RULE} {purpose}\n{name}".encode()).digest())
    sizes, chosen, held = Counter(groups), list[str](), 0
    while len(chosen) < len(names) - 1 and held < count:
        chosen.append(names[len(chosen)])
        held += sizes[chosen[-1]]
    taken = set(chosen)
    inside = {number for number, name in enumerate(groups) if name in taken}
    return rows.take(sorted(inside)), rows.take(number for number in range(len(rows)) if number not in inside)


def quotas(sizes: Mapping[float, int], count: int) -> dict[float, int]:
    """Divide `count` over strata in proportion to their sizes; each gets one at least where `count` suffices for that."""
    total, least = sum(sizes.values()), 1 if count >= len(sizes) else 0
    shares = {label: count * size / total for label, size in sizes.items()}
    result = {label: max(least, int(share)) for label, share in shares.items()}
    while sum(result.values()) < count:
        result[max(sorted(sizes), key=lambda label: shares[label] - result[label])] += 1
    while sum(result.values()) > count:
        spare = sorted(label for label in sizes if result[label] > least)
        result[max(spare, key=lambda label: result[label] - shares[label])] -= 1
    return result
