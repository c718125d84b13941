"""One table as a paper prints it, through the command that users type."""

import re

import pytest
from fake_runs import class_records, rec_records, write_run

from benchmarks.tables.__main__ import main

BACKBONE = {"backbone": "vit_b16"}
PLACES = (("rec/refcoco", "testA"), ("rec/refcoco", "testB"), ("rec/refcocog", "test"))


@pytest.fixture
def latex(tmp_path, capsys):
    def call(*arguments: str):
        out = tmp_path / "out"
        status = main(["--runs", str(tmp_path / "runs"), "--out", str(out), "--latex", *arguments])
        file = out / "rec_paper.tex"
        return status, capsys.readouterr().err, file.read_text(encoding="utf-8") if file.is_file() else ""

    return call


def write_three(folder) -> None:
    for i, (task, split) in enumerate(PLACES):
        for prompt, skill in (("plain", 0.0), ("red_circle", 1.0), ("foveal,alpha=0.5", 3.0)):
            labels = BACKBONE | {"task": task, "split": split, "prompt": prompt}
            write_run(folder, f"{prompt[0]}{i}", rec_records(images=40, skill=skill), labels=labels)


def printed(line: str) -> list[str]:
    return [cell.strip() for cell in line.removesuffix(r"\\").split("&")]


def balanced(text: str) -> bool:
    bare = re.sub(r"\\[{}]", "", text)
    return bare.count("{") == bare.count("}") and re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular"]


def test_splits_stand_under_their_task_and_every_line_has_all_cells(latex, tmp_path):
    write_three(tmp_path / "runs")
    status, _, text = latex()
    assert status == 0 and balanced(text)
    assert r"\multicolumn{2}{c}{rec/refcoco} & \multicolumn{1}{c}{rec/refcocog}" in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}" in text
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert printed(lines[1]) == ["Method", "testA", "testB", "test"]
    assert [len(printed(line)) for line in lines[1:]] == [4, 4, 4, 4]
    assert r"red\_circle" in text and "published" not in text.lower() and r"$\pm$" not in text


def test_the_best_number_is_bold_and_the_second_underlined(latex, tmp_path):
    write_three(tmp_path / "runs")
    text = latex()[2]
    lines = [printed(line)[1:] for line in text.splitlines() if line.endswith(r"\\")][2:]
    for column in zip(*lines, strict=True):
        values = sorted({float(re.sub(r"[^\d.]", "", cell)) for cell in column}, reverse=True)
        for cell in column:
            value = float(re.sub(r"[^\d.]", "", cell))
            assert cell.startswith(r"\textbf") == (len(values) > 1 and value == values[0])
            assert cell.startswith(r"\underline") == (len(values) > 1 and value == values[1])
    assert r"\textbf" in text and r"\underline" in text


def test_a_file_of_names_labels_rows_columns_and_the_table(latex, tmp_path):
    write_three(tmp_path / "runs")
    names = tmp_path / "names.yaml"
    names.write_text(
        "rows: {plain: CLIP, 'foveal,alpha=0.5': 'FALIP ($\\alpha$)'}\n"
        "columns: {rec/refcoco: RefCOCO, testA: Test A}\ntables: {rec: Ours.}\n"
    )
    text = latex("--names", str(names))[2]
    assert balanced(text) and r"\caption{Ours.}" in text and r"FALIP ($\alpha$) &" in text
    assert "{RefCOCO}" in text and "Test A" in text and "CLIP &" in text


def test_what_cannot_be_one_table_or_labels_is_refused(latex, tmp_path):
    write_three(tmp_path / "runs")
    names = tmp_path / "names.yaml"
    names.write_text("lines: {plain: CLIP}\n")
    status, error, _ = latex("--names", str(names))
    assert status == 2 and "rows, columns, tables" in error and "names.yaml" in error
    assert latex("--names", str(tmp_path / "none.yaml"))[0] == 2
    write_run(tmp_path / "runs", "ccc", class_records(), labels=BACKBONE | {"task": "classification/stanford_dogs"})
    status, error, _ = latex()
    assert status == 2 and "--task" in error
