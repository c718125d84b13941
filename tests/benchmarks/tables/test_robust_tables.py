"""What tables, status and report make of small, damaged and edited runs, and of a full disk."""

import csv
import errno
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from fake_runs import rec_records, write_old_part, write_pair, write_run

from benchmarks.measure.decisions import decide_rec
from benchmarks.records.record import Record
from benchmarks.report.__main__ import main as report
from benchmarks.status import main as status_of
from benchmarks.tables.__main__ import main

many = partial(rec_records, images=40)  # enough for intervals


@pytest.fixture
def make(tmp_path, capsys):
    """Calls the command and returns its exit status, what it printed, and its files."""

    def call(*arguments: str):
        out = tmp_path / "out"
        status = main(["--runs", str(tmp_path / "runs"), "--out", str(out), *arguments])
        printed = capsys.readouterr()
        files = {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*"))} if out.is_dir() else {}
        return status, printed, files

    return call


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def section(markdown: str, title: str) -> str:
    return markdown.partition(f"## {title}\n")[2].partition("\n## ")[0]


def line(text: str, start: str) -> list[str]:
    found = next(line for line in text.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_few_samples_carry_a_warning_and_fewer_no_interval_and_no_p(make, tmp_path):
    for images, cell, interval in ((9, "(9 samples: no interval)", "none (9 samples)"), (12, "(12 samples)", "]")):
        write_pair(tmp_path / f"runs{images}", make=partial(rec_records, images=images))
        status, _, files = make("--runs", str(tmp_path / f"runs{images}"), "--name", f"n{images}")
        page = files[f"n{images}.md"]
        accuracy, compared = section(page, "Accuracy"), line(section(page, "Compared with plain"), "foveal")
        assert status == 0 and cell in line(accuracy, "foveal")[1] and "fewer than 30 samples" in accuracy
        assert interval in compared[3] and f"({images} samples)" in compared[3]
        assert (compared[4] == compared[7] == "-") == (images < 10)
        found = rows(files[f"n{images}.csv"])[1]
        assert (found["low"] == found["p_bootstrap"] == found["p_mcnemar"] == "") == (images < 10)
    write_pair(tmp_path / "enough", make=many)
    page = make("--runs", str(tmp_path / "enough"), "--name", "enough")[2]["enough.md"]
    assert "samples)" not in section(page, "Accuracy") and "fewer than" not in page


def test_near_ties_are_counted_beside_ties(make, tmp_path):
    scores = ([1.0, 1.0, 0.0], [1.0, 1.00005, 0.0], [1.0, 1.001, 0.0])
    records = [
        replace(r, **vars(decide_rec(s, [0.1, 0.9, 0.1]))) for r, s in zip(rec_records(images=1), scores, strict=True)
    ]
    write_run(tmp_path / "runs", "aaa", records)
    _, _, files = make()
    runs = section(files["rec_embedded.md"], "Runs")
    place = line(runs, "Method").index("Near ties")
    assert line(runs, "plain")[place - 1 : place + 1] == ["1", "1"]
    (found,) = rows(files["rec_embedded.csv"])
    assert (found["ties"], found["near_ties"]) == ("1", "1")


DAMAGE = {
    "a part of 0 bytes": lambda folder: part(folder).write_bytes(b""),
    "a folder in the place of a part": lambda folder: (folder / "records" / "x.parquet").mkdir(),
    "a list where a text belongs": lambda folder: edit(folder, labels={"task": ["rec"]}),
    "no object": lambda folder: (folder / "run.json").write_text("[1]"),
    "deep JSON": lambda folder: (folder / "run.json").write_text('{"a":' * 1500 + "1" + "}" * 1500),
    "JSON just not too deep": lambda folder: (folder / "run.json").write_text('{"a":' * 300 + "1" + "}" * 300),
    "a number of 400 digits": lambda folder: edit(folder, counts={"expected": 10**400}),
    "a number of 5000 digits": lambda folder: (folder / "run.json").write_text('{"a": ' + "9" * 5000 + "}"),
    "infinity": lambda folder: edit(folder, timing={"total_s": float("inf")}),
    "half a character": lambda folder: edit(folder, device="\ud800"),
    "a text for a number": lambda folder: edit(folder, counts={"expected": "many"}),
    "shares that are none": lambda folder: edit(folder, identity={"task": {"dataset": {"group_shares": {"a": "b"}}}}),
    "an id that is a path": lambda folder: edit(folder, run_id="../../evil"),
    "a folder for run.json": lambda folder: ((folder / "run.json").unlink(), (folder / "run.json").mkdir()),
    "scores that are not finite": lambda folder: write_old_part(scored_with(float("nan"), ()), part(folder)),
    "infinite scores": lambda folder: write_old_part(scored_with(float("inf"), (True, False)), part(folder)),
}


def part(folder: Path) -> Path:
    return next((folder / "records").glob("*.parquet"))


def edit(folder: Path, **changes) -> None:
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | changes))


def scored_with(score: float, right: tuple[bool, ...]) -> list[Record]:
    first, *rest = rec_records()
    return [replace(first, candidates=2, target=0, score=score, scores=(score, 1.0), candidate_correct=right), *rest]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_run_is_named_and_hides_no_other(damage, make, tmp_path, capsys, caplog):
    write_pair(tmp_path / "runs")
    folder = write_run(tmp_path / "runs", "cccccccccccc", rec_records(), labels={"prompt": "blur"})
    DAMAGE[damage](folder)
    status, _, files = make()
    assert status == 0 and {row["prompt"] for row in rows(files["rec_embedded.csv"])} == {"plain", "foveal"}
    assert "Damaged: 1 run is left out." in files["rec_embedded.md"] and str(folder) in files["rec_embedded.md"]
    assert "left out as damaged" in caplog.text and str(folder) in caplog.text
    assert report(["--out", str(tmp_path / "page.html"), str(tmp_path / "runs")]) == 0
    html = (tmp_path / "page.html").read_text()
    assert "<h2>Damaged</h2>" in html and html.count(folder.name) >= 1
    capsys.readouterr()
    assert status_of(["--runs", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr()
    assert "2 complete" in printed.out
    assert "1 damaged" in printed.out and "damaged" in printed.err and folder.name in printed.out


def test_a_full_disk_leaves_the_tables_that_were_there(make, tmp_path, monkeypatch):
    write_pair(tmp_path / "runs")
    before = make()[2]
    write_run(tmp_path / "runs", "cccccccccccc", rec_records(), labels={"prompt": "blur"})
    real, calls = Path.write_bytes, []

    def full(path, content):
        calls.append(path)
        if len(calls) > 1:
            real(path, content[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    status, printed, after = make()
    assert status == 2 and "No space left on device" in printed.err and "Traceback" not in printed.err
    assert after == before and not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("blocked", ["out", "out/rec_embedded.md"])
def test_a_file_where_a_folder_belongs_and_the_reverse_are_one_message(blocked, make, tmp_path):
    write_pair(tmp_path / "runs")
    if blocked == "out":
        (tmp_path / "out").write_text("a file")
    else:
        (tmp_path / blocked).mkdir(parents=True)
    assert main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 2
