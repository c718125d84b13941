"""What is held at once does not grow with the number of regions."""

import weakref
from dataclasses import dataclass

import pytest
import torch
from random_clip import picture

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.tasks.keypoint import Keypoints
from benchmarks.tasks.rec import ReferringExpressions
from falip import Backbone, Blur, Crop, Ensemble, Foveal, Plain, RedCircle, Region

BATCH, WORKERS = 16, 2
PROMPTS = {
    "plain": Plain(),
    "foveal": Foveal(),
    "red circle": RedCircle(),
    "crop + blur + foveal": Ensemble([Crop(), Blur(radius=2.0), Foveal()]),
}


@dataclass
class Crowded:
    """One picture with many regions."""

    regions: int
    class_names: tuple[str, ...] = ()

    @property
    def index(self) -> list[SampleInfo]:
        return [SampleInfo("crowd", 1, self.regions)]

    def load(self, i: int) -> Sample:
        boxes = tuple((float(k % 40), float(k // 40), k % 40 + 8.0, k // 40 + 8.0) for k in range(self.regions))
        query = Query("crowd/0", "a red dog", (boxes[0],))
        return Sample("crowd", (Picture(picture(60, 50), tuple(Region.from_box(*b) for b in boxes)),), (query,), boxes)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Prepared pictures that are alive: now and at most; and most distinct views and pictures of one encoding."""
    counts = {"now": 0, "most": 0, "views": 0, "pictures": 0}
    prepare, encode = Backbone.prepare, Backbone.features

    def gone(number: int) -> None:
        counts["now"] -= number

    def watched(self, views):
        prepared = prepare(self, views)
        counts["now"] += len(prepared.pixels)
        counts["most"] = max(counts["most"], counts["now"])
        weakref.finalize(prepared.pixels, gone, len(prepared.pixels))
        return prepared

    def counted(self, views, sharing="exact", batch=64):
        counts["views"] = max(counts["views"], sum(len(set(keys)) for keys in views.keys))
        counts["pictures"] = max(counts["pictures"], len(views.pixels))
        return encode(self, views, sharing, batch)

    monkeypatch.setattr(Backbone, "prepare", watched)
    monkeypatch.setattr(Backbone, "features", counted)
    return counts


def evaluated(backbone: Backbone, prompt, regions: int, batch: int | None = BATCH):
    task = ReferringExpressions(Crowded(regions), "rec/crowd", "test", "gt")
    records = []
    variant = Variant(prompt, RunTexts(TextProtocol("{}"), prompt, []), lambda new, _: records.extend(new))
    runtime = Runtime(batch_views=batch, workers=WORKERS, progress=False)
    Evaluation(task, [backbone], [variant], runtime).run([0], "crowd")
    return records[0]


@pytest.mark.parametrize("name", PROMPTS)
def test_pictures_and_views_held_at_once_stay_within_the_budget(name, random_clip, held):
    for regions in (1, 10, 100, 1000):
        record = evaluated(random_clip(), PROMPTS[name], regions)
        assert record.status == "scored" and record.candidates == regions == len(record.scores)
        # Two batches wait for each worker, one is with each, one is collected and one is at the model.
        components = len(record.component_scores)
        assert held["most"] <= BATCH * components * (3 * WORKERS + 2)
        assert held["views"] <= 2 * BATCH * components
        assert held["pictures"] <= 2 * BATCH * components
    assert held["now"] <= BATCH * components


class Marked(Crowded):
    """One picture with one keypoint."""

    def load(self, i: int) -> Sample:
        query = Query("crowd/0", "a beak", ((20.0, 10.0, 20.0, 10.0),), 0)
        return Sample("crowd", (Picture(picture(60, 50), ()),), (query,), ((5.0, 5.0, 50.0, 40.0),))


def test_the_places_of_a_grid_are_made_piece_by_piece(random_clip, held):
    task = Keypoints(Marked(1), "keypoint/crowd", "test", "{}", ask="localise", grid=20)
    records, prompt = [], RedCircle()
    variant = Variant(prompt, RunTexts(TextProtocol("{}"), prompt, []), lambda new, _: records.extend(new))
    Evaluation(task, [random_clip()], [variant], Runtime(batch_views=BATCH, workers=WORKERS, progress=False)).run(
        [0], "crowd"
    )
    assert records[0].status == "scored" and len(records[0].scores) == 400
    assert held["most"] <= BATCH * (3 * WORKERS + 2) and held["views"] <= 2 * BATCH


def test_pieces_of_a_sample_score_as_the_whole(random_clip):
    prompt = PROMPTS["crop + blur + foveal"]
    pieces, whole = evaluated(random_clip(), prompt, 70, 7), evaluated(random_clip(), prompt, 70, 1000)
    found, expected = torch.tensor(pieces.component_scores), torch.tensor(whole.component_scores)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
    assert pieces.prediction == whole.prediction or whole.margin < 1e-4


def test_running_out_of_memory_halves_the_batch_and_loses_nothing(random_clip, monkeypatch):
    expected = evaluated(random_clip(), Foveal(alpha=5.0), 50, 32)
    encode, asked = Backbone.features, []

    def scarce(self, views, sharing="exact", batch=64):
        asked.append(batch)
        if batch > 4:
            raise torch.OutOfMemoryError
        return encode(self, views, sharing, batch)

    monkeypatch.setattr(Backbone, "features", scarce)
    record = evaluated(random_clip(), Foveal(alpha=5.0), 50, 32)
    assert asked[:4] == [32, 16, 8, 4] and set(asked[4:]) <= {4}
    torch.testing.assert_close(torch.tensor(record.scores), torch.tensor(expected.scores), atol=2e-4, rtol=0)

    monkeypatch.setattr(Backbone, "features", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        evaluated(random_clip(), Foveal(), 2, 4)


def test_a_larger_budget_holds_more_views(random_clip):
    small, large = random_clip("small"), random_clip("ViT-B/16")
    counts = [large.views_within(gb) for gb in (1e-9, 0.01, 0.02, 0.04, 1e6)]
    assert counts[0] == 1 and counts == sorted(counts) and counts[2] == pytest.approx(2 * counts[1], abs=1)
    assert small.views_within(0.01) > large.views_within(0.01), "longer sequences need more memory for each view"
    assert large.views_within() == large.views_within(1.0), "on a CPU the budget is 1 GB"
