"""`falip report`: one page from run folders alone."""

import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_runs import rec_records, write_new_run, write_pair, write_run
from PIL import Image
from scenes import EVIL, config

from benchmarks.report.__main__ import main
from benchmarks.report.charts import Point, dot_plot, heat_map, line_plot
from benchmarks.report.page import marked, script_json
from benchmarks.report.plots import _bins
from benchmarks.report.restore import rebased
from benchmarks.report.thumbnails import LEVELS, encode, thumbnails
from benchmarks.tasks.rec import ReferringExpressions
from falip import UserError


def content(page) -> dict:
    """What the page hands to its script."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.S)[1])


def test_the_page_needs_nothing_but_itself(page):
    html = page.read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:)[\w/.:]+""", html.split('id="data"')[0])
    assert "default-src 'none'" in html


def test_the_overview_has_the_accuracies_and_the_provenance(page, smoke):
    html = page.read_text()
    metrics = [json.loads(path.read_text()) for path in smoke.rglob("metrics.json")]
    assert len(metrics) == 7
    for one in metrics:
        assert f"{100 * one['accuracy']:.1f}" in html
    for folder in smoke.rglob("run.json"):
        assert folder.parent.name in html
    assert "SUBSET" in html


def test_the_gallery_has_every_query_with_the_views_of_each_method(page):
    found = content(page)
    kinds = {group["label"]: group["kind"] for group in found["groups"]}
    assert sorted(kinds.values()) == ["classification", "pointcloud", "rec"]
    for query in found["queries"]:
        assert all(answer and "correct" in answer for answer in query["answers"])
    for sample in found["samples"]:
        kind = found["groups"][sample["group"]]["kind"]
        assert sample["own"] == (6 if kind == "pointcloud" else 1)
        methods = [method["name"] for method in found["groups"][sample["group"]]["methods"]]
        foveal = sample["views"][methods.index("foveal")]
        assert all(view["mask"].startswith("data:image/png") for views in foveal.values() for view in views)
        if kind == "rec":
            both = sample["views"][methods.index("crop_blur")]
            assert all(len(views) == 2 for views in both.values())
            assert len(sample["images"]) == 1 + 2 * len(both)


def test_the_six_depth_maps_have_their_own_decisions(page):
    found = content(page)
    group = next(i for i, one in enumerate(found["groups"]) if one["kind"] == "pointcloud")
    query = next(q for q in found["queries"] if found["samples"][q["sample"]]["group"] == group)
    assert len(query["answers"][0]["views"]) == 6
    assert query["answers"][0]["top"][0][0]


def test_markup_in_data_is_text(write_scenes, tmp_path):
    labels = {"text": EVIL}
    runs = write_scenes("aaaa00000000", "plain", text=EVIL, labels=labels, device=EVIL)
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    html = (tmp_path / "page.html").read_text()
    assert "<img src=x" not in html
    assert "<script>hacked" not in html
    assert html.count("</script>") == 2
    assert all(query["text"] == EVIL for query in content(tmp_path / "page.html")["queries"])


def test_no_model_is_loaded_without_attention(write_scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("falip.backbone.loading._loaded", lambda *_: pytest.fail("a model was loaded"))
    runs = write_scenes("aaaa00000000", "foveal")
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0


def test_attention_is_computed_once_and_kept(smoke, tmp_path, monkeypatch):
    command = [str(smoke), "--out", str(tmp_path / "page.html"), "--attention"]
    assert main(command) == 0
    first = (tmp_path / "page.html").read_text()
    monkeypatch.setattr("falip.load_backbone", lambda *_, **__: pytest.fail("a model was loaded"))
    assert main(command) == 0
    assert (tmp_path / "page.html").read_text() == first
    assert "Head response: foveal" in first
    found = content(tmp_path / "page.html")
    views = [view for sample in found["samples"] for slots in sample["views"] for views in slots.values() for view in views]
    maps = [view["attention"] for view in views if "attention" in view and "mask" in view]
    assert maps
    assert all(one["before"] != one["after"] for one in maps)


def test_without_the_data_the_overview_still_builds(tmp_path, capsys):
    stored = config("task=rec/refcoco", f"data_root={tmp_path}/none")
    write_pair(tmp_path / "runs", task="rec/refcoco")
    task = {"type": "ReferringExpressions", "version": ReferringExpressions.version, "dataset": {"name": "refcoco"}}
    for path in (tmp_path / "runs").rglob("run.json"):
        info = json.loads(path.read_text())
        info["identity"]["task"] = task | {"name": "rec/refcoco", "split": "val"}
        path.write_text(json.dumps(info | {"config": stored}))
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    found = content(tmp_path / "page.html")
    assert found["groups"][0]["note"].startswith("No pictures")
    assert str(tmp_path / "none") in found["groups"][0]["note"]
    assert len(found["queries"]) == 18
    assert "Accuracy" in (tmp_path / "page.html").read_text()


def test_a_run_without_configuration_is_shown_without_pictures(tmp_path):
    write_pair(tmp_path / "runs")
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    assert "no configuration" in content(tmp_path / "page.html")["groups"][0]["note"]


def test_pictures_of_another_version_of_the_data_are_not_shown(write_scenes, tmp_path):
    runs = write_scenes("aaaa00000000", dataset={"name": "shapes", "generator_version": -1})
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    found = content(tmp_path / "page.html")
    assert "'generator_version': -1" in found["groups"][0]["note"]
    assert not any("images" in sample for sample in found["samples"])


def test_sensitivity_is_drawn_where_runs_differ_in_alpha_alone(write_scenes, tmp_path):
    for k, alpha in enumerate((0.1, 0.2, 0.5)):
        prompt = {"type": "Foveal", "version": 1, "alpha": alpha, "sigma": 100.0}
        runs = write_scenes(f"{k:04x}00000000", identity={"prompt": prompt}, labels={"prompt": f"foveal,alpha={alpha}"})
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    html = (tmp_path / "page.html").read_text()
    assert "Sensitivity to alpha" in html
    assert "Sensitivity to sigma" not in html


def test_max_samples_limits_the_gallery_and_not_the_tables(write_scenes, tmp_path):
    runs = write_scenes("aaaa00000000", scenes=5)
    assert main([str(runs), "--out", str(tmp_path / "page.html"), "--max-samples", "2"]) == 0
    assert len(content(tmp_path / "page.html")["samples"]) == 2


def test_no_finished_runs_are_one_message_and_status_2(tmp_path, capsys):
    write_run(tmp_path, "aaaa00000000", [], expected=3)
    assert main([str(tmp_path)]) == 2
    assert "1 unfinished" in capsys.readouterr().err
    assert main(["--runs", str(tmp_path)]) == 2
    assert "1 unfinished" in capsys.readouterr().err
    assert main([str(tmp_path / "none")]) == 2


def test_views_shrink_until_they_fit_the_budget():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    own, views = [Image.new("RGB", (300, 200))], [Image.fromarray(noise)] * 12
    started = time.monotonic()
    roomy, tight = thumbnails(own, views, 1_000_000), thumbnails(own, views, 48_000)
    assert time.monotonic() - started < 5
    assert (roomy.level, len(roomy.uris)) == (0, 13)
    assert 0 < tight.level < len(LEVELS)
    assert sum(map(len, tight.uris)) <= 48_000
    assert len(encode(views[0], 64, 30)) < 4_000


def test_a_moved_data_folder_is_followed():
    tree = {"root": "/old/coco", "other": "/older/x", "many": ["/old"], "n": 3}
    assert rebased(tree, "/old", "new") == {"root": "new/coco", "other": "/older/x", "many": ["new"], "n": 3}


def test_text_is_escaped_before_it_is_marked():
    assert marked("**a** `<b>` **c") == "**a** <code>&lt;b&gt;</code> **c"
    assert marked("**a & b**") == "<strong>a &amp; b</strong>"
    assert "</script" not in script_json({"a": "</script><!--"})


def test_charts_put_shares_where_they_belong():
    points = {"a": Point(0.2, 0.1, 0.3, 5), "b": Point(0.8)}
    dots = dot_plot("t", "c", points, {"chance": 0.25, "oracle": None})
    assert dots.marks[0].low < dots.marks[0].x < dots.marks[0].high < dots.marks[1].x
    assert [line.label for line in dots.references] == ["chance 25.0"]
    assert dots.marks[0].x < dots.references[0].at < dots.marks[0].high
    lines = line_plot("t", "c", "x", ["1", "2"], {"a": [Point(0.2), Point(0.6)], "b": [None, Point(0.5)]})
    assert lines.series[0].marks[0].y > lines.series[0].marks[1].y
    assert (len(lines.series[1].marks), lines.series[1].path) == (1, "")
    heat = heat_map("t", "c", [[0.0, 1.0], [0.5, 0.2]])
    assert (heat.cells[0].colour, heat.cells[1].colour) == ("#440154", "#fde725")


def test_what_cannot_be_brought_back_is_said_and_the_rest_is_shown(write_scenes, tmp_path):
    write_scenes("aaaa00000000", "plain")
    runs = write_scenes("bbbb00000000", identity={"prompt": {"type": "mine.Prompt", "version": 1}})
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    (group,) = content(tmp_path / "page.html")["groups"]
    assert "No views of foveal: its prompt 'mine.Prompt' is none of this project's" in group["note"]
    views = [sample["views"] for sample in content(tmp_path / "page.html")["samples"]]
    assert all(one[0] and not one[1] for one in views)


def test_layers_that_the_backbone_lacks_end_no_report(write_scenes, tmp_path, caplog):
    runs = write_scenes("aaaa00000000", identity={"prompt": {"type": "Foveal", "version": 1, "layers": [99]}})
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    assert "layers=[99]" in caplog.text


@pytest.mark.parametrize("sizes", [[0.25] * 7, [0.25] * 9 + [0.3], [0.1, 0.9], [0.0]])
def test_targets_of_one_size_and_of_hardly_another_are_binned(sizes):
    for values in (100 * np.array(sizes), np.array(sizes) * 0 + np.arange(len(sizes)) % 2):
        for whole in (False, True):
            bins = _bins(values, whole=whole)
            held = sum((values >= low) & (values <= high) for low, high, _ in bins)
            assert (held == 1).all()


@pytest.mark.parametrize("sizes", [[0.25], [0.01, 0.04, 0.2, 0.5], []])
def test_the_chart_over_target_size_is_of_what_the_records_hold(tmp_path, sizes):
    records = [replace(r, target_share=sizes[i % len(sizes)] if sizes else np.nan) for i, r in enumerate(rec_records(20))]
    write_new_run(tmp_path / "runs", records)
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "page.html")]) == 0
    assert ("Accuracy and target size" in (tmp_path / "page.html").read_text()) == (len(sizes) > 1)


def test_hundreds_of_methods_leave_fewer_samples_and_say_so(write_scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.report.page.ANSWERS", 30)
    for k in range(3):
        runs = write_scenes(f"{k:04x}00000000", scenes=6, labels={"prompt": f"foveal,alpha={k}"})
    assert main([str(runs), "--out", str(tmp_path / "page.html")]) == 0
    found = content(tmp_path / "page.html")
    assert 0 < len(found["samples"]) < 6
    assert f"{len(found['samples'])} samples are shown" in found["groups"][0]["note"]


def test_a_full_disk_leaves_the_page_that_was_there(write_scenes, tmp_path, monkeypatch, capsys):
    out, runs = tmp_path / "page" / "index.html", write_scenes("aaaa00000000")
    assert main([str(runs), "--out", str(out)]) == 0
    before = out.read_bytes()

    def full(path, _):
        path.write_bytes(b"begun")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchmarks.report.__main__._write", full)
    assert main([str(runs), "--out", str(out)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert out.read_bytes() == before and [path.name for path in out.parent.iterdir()] == ["index.html"]


def test_attention_says_what_it_does_from_the_start_and_goes_on_without_model(write_scenes, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    write_scenes("aaaa00000000", "plain")
    runs = write_scenes("bbbb00000000")

    def absent(name, **_):
        assert "attention of 6 pairs of a sample and a method, of 2 methods" in caplog.text
        raise UserError(f"there is no model {name}")

    monkeypatch.setattr("falip.load_backbone", absent)
    assert main([str(runs), "--out", str(tmp_path / "page.html"), "--attention"]) == 0
    assert "No attention of plain: there is no model tiny" in content(tmp_path / "page.html")["groups"][0]["note"]
    assert "attention 2/2" in caplog.text
