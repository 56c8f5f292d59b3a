"""Local data in every format, and one clear line for everything that can be wrong with it."""

import json
from pathlib import Path

import pytest

from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.metrics import METRICS
from ulpt_search.spaces.space import TaskSpec
from ulpt_search.workers.tasks import load_task

from .task_files import folder, records, write


@pytest.mark.parametrize(
    ("ending", "delimiter"),
    [("json", ""), ("csv", ","), ("csv", ";"), ("csv", "\t"), ("csv", "^"), ("csv", "|"), ("tsv", "\t"), ("parquet", "")],
)
def test_the_same_rows_in_any_format_are_the_same_task(tmp_path: Path, ending: str, delimiter: str) -> None:
    rows = [row for row in records(60) if "\n" not in str(row["text_a"])]
    expected = load_task(TaskSpec(path=str(write(tmp_path / "rows.jsonl", rows))))
    assert load_task(TaskSpec(path=str(write(tmp_path / f"other.{ending}", rows, delimiter=delimiter)))).digest == expected.digest


def test_quoted_line_breaks_and_byte_order_marks_are_part_of_csv(tmp_path: Path) -> None:
    rows = records(60)
    path = write(tmp_path / "rows.csv", rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    task = load_task(TaskSpec(path=str(path)))
    assert {text for split in (task.train, task.validation, task.test) for text in split.texts_a} == {row["text_a"] for row in rows}


def test_only_a_line_feed_ends_a_line_of_json(tmp_path: Path) -> None:
    rows = [{"text_a": f"one\u2028two\x85three {i}", "label": i % 2} for i in range(20)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", encoding="utf8")
    task = load_task(TaskSpec(path=str(path)))
    assert (len(task.train), task.train.texts_a[0][:13]) == (12, "one\u2028two\x85three")


def test_texts_longer_than_the_csv_module_allows_are_read(tmp_path: Path) -> None:
    rows = [{"text_a": f"{i} " + "word " * 40_000, "label": i % 2} for i in range(10)]
    assert len(load_task(TaskSpec(path=str(write(tmp_path / "rows.csv", rows)))).train.texts_a[0]) > 200_000


def test_columns_are_named_by_the_user(tmp_path: Path) -> None:
    rows = [{"premise": f"p {i}", "hypothesis": f"h {i}" if i % 3 else "", "gold": ("no", "yes")[i % 2]} for i in range(30)]
    path = str(write(tmp_path / "nli.csv", rows))
    task = load_task(TaskSpec(name="nli", path=path, text_a="premise", text_b="hypothesis", label="gold"))
    assert (task.name, task.labels, task.descriptions) == ("nli", ("no", "yes"), ("no", "yes"))
    assert {b for b in task.train.texts_b if b is None or b.startswith("h ")} == set(task.train.texts_b)
    assert None in task.train.texts_b
    assert set(load_task(TaskSpec(path=path, text_a="premise", text_b=None, label="gold")).train.texts_b) == {None}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ((0, 1), ("0", "1")),
        ((-1, 1), ("-1", "1")),
        ((2, 10, 1), ("1", "2", "10")),
        ((0.0, 1.0), ("0", "1")),
        ((True, False), ("false", "true")),
        (("b", "a"), ("a", "b")),
        (("10", "9"), ("9", "10")),
    ],
)
def test_labels_without_a_list_are_those_that_occur_in_order(tmp_path: Path, labels: tuple[object, ...], names: tuple[str, ...]) -> None:
    rows = records(30, labels=labels)
    task = load_task(TaskSpec(path=str(write(tmp_path / "rows.jsonl", rows))))
    assert (task.kind, task.labels) == ("classification", names)
    label_of = {row["text_a"]: str(row["label"]).lower().removesuffix(".0") for row in rows}
    assert [names[int(label)] for label in task.train.labels] == [label_of[text] for text in task.train.texts_a]


def test_numbers_as_names_ask_for_descriptions_until_they_get_them(tmp_path: Path) -> None:
    path = str(write(tmp_path / "rows.csv", records(30, labels=(0, 1))))
    asks = "the labels 0, 1 have no names: say what they mean under task.labels"
    assert asks in load_task(TaskSpec(path=path)).notes
    described = load_task(TaskSpec(path=path, labels={"0": "bad", "1": "good"}))
    assert described.descriptions == ("bad", "good")
    assert asks not in described.notes


@pytest.mark.parametrize(("label", "kind"), [("int", "classification"), ("half", "regression"), ("text", "regression")])
def test_fractions_make_a_regression(tmp_path: Path, label: str, kind: str) -> None:
    rows = [{"text_a": f"t {i}", "int": i % 3, "half": i / 2, "text": f"{i / 4}"} for i in range(20)]
    assert load_task(TaskSpec(path=str(write(tmp_path / "rows.jsonl", rows)), label=label)).kind == kind


def test_a_correlation_makes_whole_numbers_a_regression_and_accuracy_makes_fractions_labels(tmp_path: Path) -> None:
    rows = [{"text_a": f"t {i}", "stars": i % 5, "half": (i % 2) / 2} for i in range(30)]
    path = str(write(tmp_path / "rows.parquet", rows))
    assert load_task(TaskSpec(path=path, label="stars", metric="spearman")).kind == "regression"
    assert load_task(TaskSpec(path=path, label="half", metric="accuracy")).labels == ("0", "0.5")


@pytest.mark.parametrize(
    ("meta", "labels", "numbers"),
    [
        ({"labels": ["pos", "neg"]}, ("neg", "pos"), [1, 0]),
        ({"labels": ["pos", "neg"]}, (0, 1), [0, 1]),
        ({"labels": ["1", "2", "3"]}, (2, 3), [1, 2]),
        ({"labels": ["1", "2", "3"]}, (0, 2), [0, 2]),
    ],
)
def test_listed_labels_are_met_by_name_or_else_by_number(
    tmp_path: Path, meta: object, labels: tuple[object, ...], numbers: list[int]
) -> None:
    task = load_task(TaskSpec(path=str(folder(tmp_path / "t", meta=meta, train=records(20, labels=labels)))))
    found = dict(zip(task.train.texts_a, task.train.labels, strict=True))
    assert {found[f"text {i}; plain"] == numbers[i % 2] for i in range(20) if f"text {i}; plain" in found} == {True}


def test_labels_that_differ_in_signs_only_stay_apart(tmp_path: Path) -> None:
    task = load_task(TaskSpec(path=str(write(tmp_path / "rows.jsonl", records(20, labels=("a_b", "a b"))))))
    assert task.descriptions == ("a b", "a_b")


GOOD = [{"text_a": f"text {i}", "label": ("bad", "good")[i % 2]} for i in range(20)]
LINES = [json.dumps(row) for row in GOOD]


def broken(line: int, text: str) -> bytes:
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]).encode("utf8", "surrogatepass")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl: the file is empty; put rows in, or delete it"),
        ("a.csv", b" \n", "a.csv: the file is empty; put rows in, or delete it"),
        ("a.parquet", b"", "a.parquet: the file is empty; put rows in, or delete it"),
        ("a.parquet", b"PAR1 no", "a.parquet: not a readable Parquet file: "),
        ("a.csv", b"text_a,label\n", "a.csv: a header and no rows; put rows in, or delete the file"),
        ("a.jsonl", broken(7, '{"text_a": "x", '), "a.jsonl:7: not valid JSON: Expecting property name"),
        ("a.jsonl", broken(3, "[1, 2]"), "a.jsonl:3: a list, wanted one JSON object a line (JSONL)"),
        ("a.json", b"[\n{]", "a.json:2: not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        ("a.json", b'[\n{"text_a": "x"}\n{"text_a": "y"}]', "a.json:3: not valid JSON: wanted a comma or the list's end"),
        ("a.json", b'[{"text_a": "x"},\n', "a.json:2: not valid JSON: the list is not closed; is the file whole?"),
        ("a.json", b'[{"text_a": "x"}]\n[]', "a.json:1: not valid JSON: more behind the list"),
        ("a.json", b"[ ]", "a.json: an empty list; put rows in, or delete the file"),
        ("a.json", b"[3]", "a.json:1: the number 3, wanted one JSON object a line (JSONL)"),
        ("a.jsonl", broken(2, "[" * 100_000), "a.jsonl:2: not usable JSON: "),
        ("a.jsonl", broken(5, '{"text_a": "x", "label": null}'), "a.jsonl:5: no label (empty); give it one, or delete the row"),
        ("a.jsonl", broken(5, '{"text_a": "x"}'), "a.jsonl:5: no label (empty)"),
        ("a.jsonl", broken(5, '{"text_a": "x", "label": NaN}'), "a.jsonl:5: no label (nan)"),
        ("a.jsonl", broken(5, '{"text_a": "x", "label": 3}'), "a.jsonl:5: label is the number 3 but a.jsonl:1 has text"),
        ("a.jsonl", broken(5, '{"text_a": "x", "label": Infinity}'), "a.jsonl:5: label is the number inf, wanted a name or a number"),
        ("a.jsonl", broken(5, '{"text_a": "x", "label": ["good"]}'), "a.jsonl:5: label is a list, wanted a name or a number"),
        ("a.jsonl", broken(9, '{"label": "good"}'), "a.jsonl:9: no text in column text_a; fill it in, or delete the row"),
        ("a.jsonl", broken(9, '{"text_a": "  ", "label": "good"}'), "a.jsonl:9: no text in column text_a"),
        ("a.jsonl", broken(9, '{"text_a": 7, "label": "good"}'), "a.jsonl:9: text_a is the number 7, wanted text; put it in quotes"),
        ("a.jsonl", broken(9, '{"text_a": "\\ud83d", "label": "good"}'), "a.jsonl:9: text_a holds half of a surrogate pair"),
        ("a.jsonl", b"\n".join(LINES[0].encode("utf8") for _ in range(9)), "a.jsonl: all 9 training rows are labelled bad; give"),
        ("a.jsonl", LINES[0].encode() + b"\n" + LINES[1].encode(), "a: 2 rows are too few to split; give a validation file"),
        ("a.csv", 'text_a,label\nx,good\n"caf\xe9",bad\n'.encode("latin1"), "a.csv:3: not UTF-8 (byte 0xe9); save the file as UTF-8"),
        ("a.csv", b'text_a,label\n"x\ny",good\nz,u,bad\n', "a.csv:4: 3 fields, the header has 2; put texts with ',' in double quotes"),
        ("a.csv", b'text_a,label\nx,good\n"y,bad\nz,good\n', "a.csv:3: not valid CSV: unexpected end of data; close every quote"),
        ("a.csv", b"text_a,label,label\nx,good,bad\n", "a.csv:1: two columns are called 'label'; rename one"),
        ("a.csv", b"text_a,label\nx,good\ny,\n", "a.csv:3: no label (empty)"),
        ("a.csv", b"text,label\nx,good\n", "a.csv: no column text_a; it has text, label; name the right one as task.text_a. Did"),
        ("a.csv", b"text_a;klass\nx;good\n", "a.csv: no column label; it has text_a, klass; name the right one as task.label."),
        ("a.txt", b"x", "a.txt: its ending is .txt; wanted .jsonl, .json, .csv, .tsv, .parquet"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(file).write_bytes(content)
    with pytest.raises(WrongInput) as caught:
        load_task(TaskSpec(name="a", path=file))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_parquet_error_counts_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [*GOOD, {"text_a": None, "label": "good"}])
    with pytest.raises(WrongInput, match=r"a\.parquet: row 21: no text in column text_a"):
        load_task(TaskSpec(path=str(path)))


def test_a_label_that_training_does_not_have_is_named_with_its_line(tmp_path: Path) -> None:
    path = folder(tmp_path / "t", train=GOOD, validation=[*records(4), {"text_a": "x", "label": "godo"}])
    with pytest.raises(WrongInput) as caught:
        load_task(TaskSpec(path=str(path)))
    where = f"{path / 'validation.jsonl'}:5"
    assert str(caught.value) == f"{where}: label 'godo' is not one of bad, good (the labels of {path / 'train.jsonl'}). Did you mean good?"


@pytest.mark.parametrize(
    ("labels", "bad", "message"),
    [
        (("a", "b"), "c", "label 'c' is not one of red, green."),
        ((0, 1), 2, "label '2' is not one of 0, 1 (red, green)."),
        ((0, 1), -1, "no label (-1)"),
    ],
)
def test_a_label_outside_the_list_is_named_with_its_line(tmp_path: Path, labels: tuple[object, ...], bad: object, message: str) -> None:
    named = [{**row, "label": {"a": "red", "b": "green"}.get(str(row["label"]), row["label"])} for row in records(8, labels=labels)]
    path = folder(tmp_path / "t", meta={"labels": ["red", "green"]}, train=named, validation=[{"text_a": "x", "label": bad}])
    with pytest.raises(WrongInput) as caught:
        load_task(TaskSpec(path=str(path)))
    assert str(caught.value).startswith(f"{path / 'validation.jsonl'}:1: {message}")


def test_a_regression_wants_numbers(tmp_path: Path) -> None:
    scores = [{"text_a": f"t {i}", "label": str(i / 3)} for i in range(9)]
    path = folder(tmp_path / "t", meta={"kind": "regression"}, train=[*scores, GOOD[0]])
    with pytest.raises(WrongInput, match=r"train\.jsonl:10: label is the text 'bad', wanted a number \(this is a regression task\)"):
        load_task(TaskSpec(path=str(path)))
    flat = folder(tmp_path / "flat", meta={"kind": "regression"}, train=[{"text_a": f"t {i}", "label": 2.5} for i in range(9)])
    with pytest.raises(WrongInput, match=r"train\.jsonl: all 9 training rows are labelled 2\.5"):
        load_task(TaskSpec(path=str(flat)))


def test_a_missing_folder_or_train_file_names_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    with pytest.raises(WrongInput, match=r"sst-2: no such file or folder; give one with data in it\. Did you mean .*/sst2\?"):
        load_task(TaskSpec(path=str(tmp_path / "sst-2")))
    with pytest.raises(WrongInput, match=r"sst2: no train\.jsonl, train\.csv or train\.parquet; it is empty"):
        load_task(TaskSpec(path=str(tmp_path / "sst2")))
    write(tmp_path / "sst2" / "trian.jsonl", GOOD)
    with pytest.raises(WrongInput, match=r"it has trian\.jsonl\. Did you mean trian\.jsonl\?"):
        load_task(TaskSpec(path=str(tmp_path / "sst2")))
    write(tmp_path / "sst2" / "train.csv", GOOD)
    write(tmp_path / "sst2" / "train.jsonl", GOOD)
    with pytest.raises(WrongInput, match=r"sst2: both train\.jsonl and train\.csv; keep one of them"):
        load_task(TaskSpec(path=str(tmp_path / "sst2")))


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("{", "meta.json:1: not valid JSON: "),
        ("[]", "meta.json: a list, wanted a JSON object with keys such as labels and metric"),
        (
            '{"kind": "clasification"}',
            "meta.json: kind is 'clasification'; wanted classification, regression, ",
        ),
        (
            '{"metric": "acuracy"}',
            f"meta.json: metric is 'acuracy'; wanted {', '.join(METRICS)}. Did",
        ),
        ('{"kind": "regression", "metric": "f1"}', "meta.json: metric is 'f1'; wanted pearson, spearman, rmse."),
        ('{"labels": "good"}', "meta.json: labels is the text 'good', wanted a list of names"),
        ('{"labels": ["good"]}', "meta.json: labels good: wanted two different names or more"),
        ('{"labels": ["good", "good"]}', "meta.json: labels good, good: wanted two different names or more"),
    ],
)
def test_a_broken_meta_file_is_one_line(tmp_path: Path, meta: str, message: str) -> None:
    path = folder(tmp_path / "t", train=GOOD)
    (path / "meta.json").write_text(meta, encoding="utf8")
    with pytest.raises(WrongInput) as caught:
        load_task(TaskSpec(path=str(path)))
    assert str(caught.value).startswith(f"{path}/{message}")


def test_the_first_metric_of_a_list_is_taken_and_the_user_has_the_last_word(tmp_path: Path) -> None:
    path = str(folder(tmp_path / "t", meta={"metric": "f1_macro,accuracy"}, train=GOOD))
    assert load_task(TaskSpec(path=path)).metric == "f1_macro"
    assert load_task(TaskSpec(path=path, metric="matthews")).metric == "matthews"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"bda": "x"}, r"task\.labels\.bda: unknown label; a has bad, good\. Did you mean bad\?"),
        ({"bad": "x", "good": "x"}, r"task\.labels\.good: its description is the same as that of bad \('x'\); give each label its own"),
        ({"good": " "}, r"task\.labels\.good: its description is empty \(''\)"),
    ],
)
def test_descriptions_must_be_of_known_labels_and_tell_them_apart(tmp_path: Path, labels: dict[str, str], message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        load_task(TaskSpec(name="a", path=str(write(tmp_path / "a.jsonl", GOOD)), labels=labels))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_an_unreadable_file_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/proc/self/mem")
    with pytest.raises(WrongInput, match=r"a\.jsonl: cannot be read: Input/output error; check the file and its permissions"):
        load_task(TaskSpec(path=str(tmp_path / "a.jsonl")))


@pytest.mark.parametrize(
    "unlabelled", [{"text_a": "x"}, {"text_a": "x", "label": None}, {"text_a": "x", "label": ""}, {"text_a": "x", "label": -1}]
)
def test_a_test_split_without_labels_is_left_aside_and_one_is_carved(tmp_path: Path, unlabelled: dict[str, object]) -> None:
    path = folder(tmp_path / "t", train=GOOD, validation=records(10, start=50), test=[unlabelled] * 3)
    task = load_task(TaskSpec(path=str(path)))
    assert (len(task.validation), len(task.test)) == (5, 5)
    assert task.notes == ("the test split has no labels and was left aside", "half of the validation split became test")


def test_a_test_split_with_some_labels_is_an_error(tmp_path: Path) -> None:
    path = folder(tmp_path / "t", train=GOOD, validation=records(10, start=50), test=[*records(2, start=70), {"text_a": "x"}])
    with pytest.raises(WrongInput, match=r"test\.jsonl:3: no label \(empty\)"):
        load_task(TaskSpec(path=str(path)))
