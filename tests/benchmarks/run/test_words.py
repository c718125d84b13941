"""A user hears of words that the model cannot read."""

import csv
import logging

import pytest
from PIL import Image
from small_jobs import Job, composed

from falip import load_backbone


@pytest.fixture
def photos(tmp_path):
    def write(*labels):
        Image.new("RGB", (80, 60), (200, 30, 30)).save(tmp_path / "a.png")
        path = tmp_path / "boxes.csv"
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image", "x0", "y0", "x1", "y1", "label"])
            table.writerows([["a.png", 5 + i, 5, 40, 40, label] for i, label in enumerate(labels)])
        return path

    return write


def warned(caplog, path, tmp_path):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        asked = ["task=classification/csv", f"task.dataset.file={path}", "prompt=crop", f"results_root={tmp_path / 'out'}"]
        Job(composed(asked)).execute()
    return [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]


def test_words_that_the_embedded_model_lacks_are_named_once(photos, tmp_path, caplog):
    (said,) = warned(caplog, photos("red circle", "teacup", "laptop", "teacup"), tmp_path)
    assert said.startswith("tiny does not know 'teacup', 'laptop'") or said.startswith(
        "tiny does not know 'laptop', 'teacup'"
    )
    assert load_backbone("tiny").tokenizer.unk_token in said


def test_nothing_is_said_where_all_words_are_known(photos, tmp_path, caplog):
    assert not warned(caplog, photos("red circle", "blue square"), tmp_path)
