"""MetaCLIP 2 against the untouched transformers model; its end token is 2, and all words lie above it."""

import json

import pytest
import torch
from clip_reference import biased
from siglip_reference import write_metaclip2
from torch.nn.functional import normalize
from transformers import AutoTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from falip import Foveal, Plain, Region, Unleash, UserError, load_backbone

REGIONS = [Region.from_box(5, 5, 40, 40), Region.from_box(30, 20, 88, 65)]
TEXTS = ["a photo of the Dog", "x", "the red cat is left of the blue Dog in the photo of the cat"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metaclip2")
    return folder, write_metaclip2(folder), load_backbone(str(folder))


def apart(a, b) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


@torch.no_grad()
def test_pictures_are_those_of_the_untouched_model(written, photo):
    folder, model, backbone = written
    size = {"height": 64, "width": 64}
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    pixels = processor(photo, return_tensors="pt", size=size, do_center_crop=False)["pixel_values"]
    expected = normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=-1).expand(2, -1)
    prompt = Foveal(alpha=4.0)
    rows = prompt(photo, REGIONS, backbone.geometry).components[0].biases[0].rows
    changed = biased(model, pixels.expand(2, -1, -1, -1), rows, (2, 3, 4, 5))
    for sharing in ("none", "exact"):
        assert apart(backbone.encode_regions(photo, REGIONS, Plain(), sharing), expected) < 1e-6
        assert apart(backbone.encode_regions(photo, REGIONS, prompt, sharing), changed) < 1e-5
    assert apart(expected, changed) > 1e-3
    assert backbone.encode_regions(photo, REGIONS, Unleash(prompt)).isfinite().all()


@torch.no_grad()
def test_texts_are_read_at_the_end_token_and_not_at_the_largest(written):
    folder, model, backbone = written
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, found in zip(TEXTS, backbone.encode_text(TEXTS), strict=True):
        ids = tokenizer(text, truncation=True, max_length=12, return_tensors="pt")["input_ids"]
        assert ids[0, -1] == 2 == ids.min(dim=1).values + 2
        expected = model.get_text_features(input_ids=ids).pooler_output
        assert apart(found, normalize(expected[0], dim=-1)) < 1e-6
    assert backbone.truncated == {TEXTS[2]} and backbone.logit_bias == 0


def test_an_end_token_that_is_another_models_is_refused(written, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    for path in written[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="the end token 2, the model 5"):
        load_backbone(str(folder))
