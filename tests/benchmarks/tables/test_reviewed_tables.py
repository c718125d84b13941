"""One run of all rows shows all and reviewed expressions side by side."""

from dataclasses import replace

import numpy as np
from fake_runs import rec_records, write_run

from benchmarks.data.reviewed import RIGHT, WRONG
from benchmarks.records.run import read_run
from benchmarks.tables.document import document
from benchmarks.tables.layout import build


def flagged(skill: float, seed: int):
    records = rec_records(images=40, expressions=3, skill=skill, seed=seed)
    return [replace(record, slice=WRONG if i % 3 == 2 else RIGHT) for i, record in enumerate(records)]


def test_all_and_reviewed_rows_have_accuracies_and_paired_differences(tmp_path):
    mine, plain = flagged(2.0, 1), flagged(0.5, 2)
    runs = []
    for prompt, records in (("foveal", mine), ("plain", plain)):
        labels = {"task": "rec/refcoco", "split": "testA", "prompt": prompt}
        runs.append(read_run(write_run(tmp_path, f"{prompt}-run", records, labels=labels)))
    (table,) = build(runs, "plain")
    (grid,) = (grid for grid in document(table, (), "", ()).grids if grid.title == "All and reviewed expressions")
    row = next(row for row in grid.body if row[0] == "foveal")
    cells = dict(zip(grid.header, row, strict=False))
    every = np.array([record.correct for record in mine]), np.array([record.correct for record in plain])
    right = np.array([record.slice == RIGHT for record in mine])
    assert cells["All"] == f"{100 * every[0].mean():.1f} (120)"
    assert cells["Reviewed"] == f"{100 * every[0][right].mean():.1f} (80)"
    assert cells["Gain"] == f"{100 * (every[0][right].mean() - every[0].mean()):+.1f}"
    assert cells["All: difference"] == f"{100 * (every[0].mean() - every[1].mean()):+.1f}"
    assert cells["Reviewed: difference"] == f"{100 * (every[0][right].mean() - every[1][right].mean()):+.1f}"


def test_runs_without_verdicts_have_no_such_grid(tmp_path):
    run = read_run(write_run(tmp_path, "plain-run", rec_records()))
    assert all(
        grid.title != "All and reviewed expressions" for grid in document(build([run], "plain")[0], (), "", ()).grids
    )
