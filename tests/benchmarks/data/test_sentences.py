"""A sentence for each class from a file, and weights of the views that were searched with it."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_runs import class_records, write_run
from PIL import Image
from small_jobs import LABELS, Job, composed

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.data.sentences import ClassSentences, sentences_of
from benchmarks.embedded.clouds import SOLIDS
from benchmarks.recombine import main
from benchmarks.records.run import read_run
from benchmarks.report.known import task_from
from benchmarks.settings.identity import describe
from benchmarks.tasks.pointcloud import PointCloudRecognition
from falip import Region, UserError

NAMES = ("night_stand", "vase")
# As the release writes it: assignments to the keys of one dictionary.
RELEASED = """
best_prompt_weight = {}
best_prompt_weight['modelnet40_rn50_test_prompts'] = ['A dim map of a stand.', "The vase's map."]
best_prompt_weight['modelnet40_rn50_test_weights'] = [0.75, 1.0, 0.25]
best_prompt_weight['modelnet40_vit_b16_test_prompts'] = ['One.', 'Two.']
best_prompt_weight['modelnet40_vit_b16_test_weights'] = [1, 1, 1]
"""


@pytest.fixture
def released(tmp_path: Path) -> Path:
    path = tmp_path / "best_param.py"
    path.write_text(RELEASED)
    return path


def test_the_release_is_read_by_tower(released):
    found = ClassSentences(str(released), "modelnet40_rn50")
    assert sentences_of(found, NAMES) == ["A dim map of a stand.", "The vase's map."]
    assert found["view_weights"] == [0.75, 1.0, 0.25]
    assert ClassSentences(str(released), "modelnet40_vit_b16")["view_weights"] == [1.0, 1.0, 1.0]


def test_one_dictionary_is_read_alike(released, tmp_path):
    values = {"modelnet40_rn50_test_prompts": ["a", "b"], "modelnet40_rn50_test_weights": [1, 2]}
    (tmp_path / "one.py").write_text(f"best = {values!r}\n")
    assert sentences_of(ClassSentences(str(tmp_path / "one.py"), "modelnet40_rn50"), NAMES) == ["a", "b"]


def test_the_file_is_read_and_never_run(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text(f"open({str(tmp_path / 'made')!r}, 'w')\n" + RELEASED)
    assert len(ClassSentences(str(path), "modelnet40_rn50")["texts"]) == 2
    path.write_text(f"best['modelnet40_rn50_test_prompts'] = [open({str(tmp_path / 'made')!r}, 'w')]\n")
    with pytest.raises(UserError, match=r"bad\.py is no list of sentences"):
        describe(ClassSentences(str(path), "modelnet40_rn50"))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["own.csv", "own.json"])
def test_ones_own_sentences_go_by_class_and_are_not_called_tuned(tmp_path, name):
    path = tmp_path / name
    own = {"vase": "A vase, of clay.", "night stand": "A stand."}
    text = json.dumps(own) if name.endswith("json") else 'class,sentence\nvase,"A vase, of clay."\nnight stand,A stand.\n'
    path.write_text(text)
    found = ClassSentences(str(path))
    assert sentences_of(found, NAMES) == ["A stand.", "A vase, of clay."]
    assert describe(found) == {"texts": own}
    with pytest.raises(UserError, match="no sentence for xbox"):
        sentences_of(found, (*NAMES, "xbox"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "class;sentence\n", "expected the columns class, sentence"),
        ("a.csv", "class,sentence\nvase,\n", "line 2: the class 'vase' has no sentence"),
        ("a.csv", "class,sentence\nvase,x\nvase,y\n", "line 3: the class 'vase' has a line already"),
        ("a.json", '["x"]', "expected one object"),
        ("a.json", "{", "not valid JSON"),
    ],
)
def test_a_table_that_does_not_fit_is_said(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words):
        describe(ClassSentences(str(tmp_path / name)))


def test_another_tower_or_number_of_classes_is_an_error(released, tmp_path):
    with pytest.raises(UserError, match="There are: modelnet40_rn50, modelnet40_vit_b16"):
        describe(ClassSentences(str(released), "modelnet40_rn5"))
    with pytest.raises(UserError, match="2 sentences, and the data 3 classes"):
        sentences_of(ClassSentences(str(released), "modelnet40_rn50"), (*NAMES, "xbox"))
    with pytest.raises(UserError, match=r"nowhere\.py are missing.*task\.sentences\.file"):
        describe(ClassSentences(str(tmp_path / "nowhere.py"), "modelnet40_rn50"))


class Vases:
    class_names = NAMES


def test_searched_weights_decide_and_the_scores_of_views_are_stored_without_them(released):
    found = ClassSentences(str(released), "modelnet40_rn50")
    task = PointCloudRecognition(Vases(), "pointcloud/x", "test", "{}", sentences=found, released="rn50")  # pyright: ignore[reportArgumentType]
    region = Region.from_box(0, 0, 4, 4)
    sample = Sample("one", (Picture(Image.new("RGB", (8, 8)), (region,)),) * 3, (Query("one", "vase", label=1),))
    assert task.texts(sample) == ["A dim map of a stand.", "The vase's map."]
    scores = np.asarray([[[1, 0], [0, 1], [1, 0]]], np.float32)
    (record,) = task.decide(sample, scores, "sum", 0)
    assert record.scores == (1.0, 1.0) and np.array_equal(np.asarray(record.component_scores, np.float32), scores[0])


@pytest.mark.parametrize("file", ["released", "own"])
def test_the_content_is_identity_and_the_place_is_not(job, released, tmp_path, file):
    solids = [f"sentence {k}" for k in range(10)]
    released.write_text(f"b['x_test_prompts'] = {solids!r}\nb['x_test_weights'] = {[1.0, 0.5] * 3}\n")
    own = tmp_path / "own.json"
    own.write_text(json.dumps(dict(zip(SOLIDS, solids, strict=True))))
    place, entry = (released, "x") if file == "released" else (own, "null")

    def made(path: Path):
        cls = "benchmarks.data.sentences.ClassSentences"
        given = f"+task.sentences={{_target_: {cls}, file: {path}, entry: {entry}}}"
        return job("prompt=plain", "task=pointcloud/solids", "task.dataset.samples=2", given)

    one = made(place)
    moved = tmp_path / "moved" / place.name
    moved.parent.mkdir()
    moved.write_text(place.read_text())
    assert made(moved).identity == one.identity
    moved.write_text(place.read_text().replace("sentence 3", "sentence three"))
    assert made(moved).identity != one.identity
    one.execute()
    run = read_run(one.folder.path)
    assert run.tuned == (file == "released")
    assert run.info["status"] == "complete"
    described = json.loads(json.dumps(one.identity["task"]))
    settings = one.resolved["task"]["dataset"]
    assert len(task_from(described, settings).dataset.index) == 2


def test_the_published_tasks_ask_for_the_release_by_tower(tmp_path):
    for name in ("modelnet40", "scanobjectnn"):
        task = composed([f"task=pointcloud/{name}_v2", f"data_root={tmp_path}", "task.released=rn101"]).task
        assert (task.sentences.entry, task.dataset.projection, task.template) == (f"{name}_rn101", "v2", "{}")
    with pytest.raises(UserError, match=r"best_param\.py are missing\. Put zeroshot_cls/trainers"):
        _ = Job(composed(["task=pointcloud/modelnet40_v2", f"data_root={tmp_path}"]), LABELS).identity


def test_other_weights_of_views_need_no_model(tmp_path, capsys):
    records = class_records(views=2, samples=20, skill=0.5)
    labels = {"task": "pointcloud/solids", "prompt": "plain", "proposals": ""}
    folder = write_run(tmp_path, "aaa", records, labels=labels, components=["plain/view0", "plain/view1"])
    parts = np.asarray([record.component_scores for record in records], np.float32)
    right = [record.target for record in records]
    expected = 100 * float(np.mean((parts[:, 0] + 0.25 * parts[:, 1]).argmax(1) == right))
    assert main([str(folder), "--view-weights=1,0.25"]) == 0
    assert f"{expected:.1f}" in capsys.readouterr().out
    assert main([str(folder), "--view-weights=1"]) == 2
    assert "1 weights for 2 views" in capsys.readouterr().err
