"""The embedded model's folder, its tokenizer, and the training loop on a tiny pool."""

import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

import falip
from benchmarks.embedded.captions import caption
from benchmarks.embedded.drawing import COLOURS, SHAPES
from benchmarks.embedded.model import IMAGE_SIZE, make_model, make_tokenizer, save_model, vocabulary
from benchmarks.embedded.pictures import KINDS, Pool, make_pool
from benchmarks.embedded.solids import DEPTH_SCALE
from benchmarks.embedded.training import Batches, Schedule, normalise, train

TINY = Path(falip.__file__).parent / "tiny"


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    return make_pool(tmp_path_factory.mktemp("pool"), count=48, seed=1, size=IMAGE_SIZE, processes=1)


def test_the_end_token_is_not_the_one_that_transformers_mistakes():
    tokenizer = make_tokenizer()
    assert tokenizer.eos_token_id != 2
    words = vocabulary()
    assert sorted(words.values()) == list(range(len(words)))
    assert make_model().config.to_dict()["text_config"]["eos_token_id"] == tokenizer.eos_token_id


@pytest.mark.parametrize("source", ["committed", "fresh"])
def test_texts_of_all_pairs_of_colour_and_shape_differ(source: str, tmp_path):
    folder = TINY
    if source == "fresh":
        folder = tmp_path / "fresh"
        torch.manual_seed(0)
        save_model(make_model(), folder)
    backbone = falip.load_backbone(str(folder))
    texts = [f"a photo of the {colour} {shape}" for colour, shape in itertools.product(COLOURS, SHAPES)]
    embeddings = backbone.encode_text(texts)
    cosines = embeddings @ embeddings.T
    assert cosines.fill_diagonal_(0).max() < 0.99999


def test_the_committed_folder_loads_through_the_auto_classes():
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    ids = tokenizer("A photo of a RED star.")["input_ids"]
    assert ids == tokenizer("a photo of a red star .")["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.unk_token_id in tokenizer("a zebra")["input_ids"]
    processor = AutoImageProcessor.from_pretrained(TINY, backend="pil")
    assert processor.size == {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    assert not processor.do_center_crop
    model = CLIPModel.from_pretrained(TINY, dtype=torch.float32)
    assert model.config.to_dict()["vision_config"]["image_size"] == IMAGE_SIZE
    assert (TINY / "model.safetensors").stat().st_size < 8e6


def test_depth_pictures_are_fed_raw():
    pixels = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    fed = normalise(pixels, torch.tensor([True, False]))
    assert torch.allclose(fed[0], torch.tensor(DEPTH_SCALE))
    assert fed[1].max() < 2.2
    assert fed[1].std() > 0.01


def test_depth_pictures_look_like_sparse_depths(pool: Pool):
    depth = pool.pixels[pool.kinds == KINDS.index("depth")] / 255 * DEPTH_SCALE
    assert len(depth)
    assert (depth == 0).mean() > 0.6
    assert depth.max() < 2.7
    assert np.array_equal(depth[..., 0], depth[..., 2])


def test_batches_repeat_with_the_seed_and_mark_equal_captions(pool: Pool):
    tokenizer = make_tokenizer()
    first, again = Batches(pool, 3, tokenizer).next(40, single=False), Batches(pool, 3, tokenizer).next(40, single=False)
    assert torch.equal(first.pixels, again.pixels)
    assert torch.equal(first.tokens, again.tokens)
    same = (first.tokens[:, None] == first.tokens[None]).all(-1)
    assert torch.equal(first.positives, same)
    assert first.positives.diagonal().all()


def test_early_batches_show_one_thing_each(pool: Pool):
    batch = Batches(pool, 0, make_tokenizer()).next(64, single=True)
    joined = vocabulary()["and"]
    assert not (batch.tokens == joined).any()


def test_training_lowers_the_loss_and_leaves_a_model_and_a_log(pool: Pool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)
    torch.manual_seed(0)
    model = make_model(width=32, heads=1)
    schedule = Schedule(minutes=0.12, warmup_steps=2, single_share=0.0, batch=16, log_every=4)
    train(model, pool, tmp_path, schedule, seed=0, device="cpu")
    with (tmp_path / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["minutes"]) < 0.5
    reloaded = CLIPModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.allclose(reloaded.logit_scale, model.logit_scale, atol=1e-2)


def test_captions_fit_the_context(pool: Pool):
    rng = np.random.default_rng(0)
    tokenizer = make_tokenizer()
    for _ in range(10):
        for kind, objects, focus in zip(pool.kinds, pool.objects, pool.focus, strict=True):
            text = caption(rng, int(kind), objects, int(focus))
            assert len(tokenizer(text)["input_ids"]) <= tokenizer.model_max_length
