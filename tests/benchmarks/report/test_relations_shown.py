"""The gallery of runs that decide by relations."""

import json
import re

import pytest
from related_scenes import write_referents
from small_jobs import LABELS, Job, composed

from benchmarks.report.__main__ import main

pytest.importorskip("spacy", reason="relations need spaCy: pip install 'falip[relations]'")


def test_the_gallery_shows_what_relations_asked_and_the_share_of_each_candidate(clip_folder, tmp_path):
    data = write_referents(tmp_path / "data")
    for text in ("default", "relations"):
        overrides = [
            "task=rec/refcoco", "task.split=testA", "task.dataset.contract=false", f"data_root={data}", f"text={text}",
            f"backbone.name={clip_folder('small')}", "prompt=crop", f"results_root={tmp_path}", "runtime.progress=false",
        ]  # fmt: skip
        job = Job(composed(overrides), LABELS, overrides)
        job.labels |= {"text": text, "prompt": "crop"}
        job.execute()
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    found = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])  # pyright: ignore[reportOptionalSubscript]
    names = [method["name"] for method in found["groups"][0]["methods"]]
    answers = {query["text"]: dict(zip(names, query["answers"], strict=True)) for query in found["queries"]}
    one = answers["dog left of the cat"]
    assert one["crop, relations"]["asked"] == ["the cat", "dog"] and "asked" not in one["crop, default"]
    assert "asked" not in answers["red thing"]["crop, relations"]
    for answer in (of["crop, relations"] for of in answers.values()):
        assert sum(answer["scores"]) == pytest.approx(1, abs=0.01)
        assert answer["scores"][answer["choice"]] == max(answer["scores"])
