"""What prompts, backbones and pieces of a sample have in common is done once for a picture."""

from dataclasses import dataclass, field

import pytest
from PIL import Image, ImageFilter
from random_clip import picture

from benchmarks.data.samples import Picture, Query, Sample, SampleInfo
from benchmarks.run.evaluation import Evaluation, Variant
from benchmarks.run.runtime import Runtime
from benchmarks.run.text import RunTexts, TextProtocol
from benchmarks.tasks.rec import ReferringExpressions
from falip import Blur, Compose, Crop, Ensemble, Foveal, RedCircle, Region, Shade

PROMPTS = [
    RedCircle(),
    RedCircle("blur", radius=3.0),
    Ensemble([Crop(), Blur(radius=3.0)]),
    Compose([Blur(radius=3.0), Foveal()]),
    Shade(),
]


@dataclass
class Street:
    """Two pictures with many regions; remembers what was loaded."""

    regions: int
    class_names: tuple[str, ...] = ()
    loaded: list[int] = field(default_factory=list)

    @property
    def index(self) -> list[SampleInfo]:
        return [SampleInfo(str(i), 1, self.regions) for i in range(2)]

    def load(self, i: int) -> Sample:
        self.loaded.append(i)
        boxes = tuple((float(k % 40), float(k // 40), k % 40 + 8.0, k // 40 + 8.0) for k in range(self.regions))
        queries = (Query(f"{i}/0", "a red dog", (boxes[0],)),)
        return Sample(str(i), (Picture(picture(60, 50, i), tuple(Region.from_box(*b) for b in boxes)),), queries, boxes)


def evaluate(street, backbones, workers=0):
    task = ReferringExpressions(street, "rec/street", "test", "gt")
    variants = [Variant(prompt, RunTexts(TextProtocol("{}"), prompt, []), lambda *_: None) for prompt in PROMPTS]
    Evaluation(task, backbones, variants, Runtime(batch_views=32, workers=workers, progress=False)).run([0, 1], "street")


def test_a_picture_is_decoded_and_blurred_once_for_all_prompts_and_backbones(random_clip, monkeypatch):
    blurred, blur = [], ImageFilter.GaussianBlur.filter
    monkeypatch.setattr(ImageFilter.GaussianBlur, "filter", lambda *given: blurred.append(1) or blur(*given))
    street = Street(3)
    evaluate(street, [random_clip("small"), random_clip("ViT-B/32")])
    assert street.loaded == [0, 1] and len(blurred) == 2


@pytest.mark.parametrize("workers", [0, 3])
def test_a_sample_in_pieces_is_decoded_once(random_clip, workers):
    street = Street(200)
    evaluate(street, [random_clip()], workers)
    assert street.loaded == [0, 1]


def test_the_whole_picture_is_resized_once_for_its_regions(random_clip, monkeypatch):
    resize, sizes = Image.Image.resize, []
    monkeypatch.setattr(Image.Image, "resize", lambda self, *given: sizes.append(self.size) or resize(self, *given))
    backbone, street = random_clip(), Street(30)
    image, regions = street.load(0).pictures[0].image, street.load(0).pictures[0].regions
    for prompt in (RedCircle(), Shade()):
        backbone.prepare(prompt(image, regions, backbone.geometry))
        sizes.clear()  # sizes of pictures are tried once, on noise
        backbone.prepare(prompt(image, regions, backbone.geometry))
        assert sizes.count(image.size) == 2  # its first pass, and what Pillow itself gives, to hold the passes to it
