"""The folder of a fine-tuned backbone: what `falip.load_backbone` reads, the training's record, log and model card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.records.folder import write_json, write_text
from benchmarks.train.tuning import CHECKPOINT, Tuning
from falip.layouts import layout_named
from falip.weights import TOKENIZER_FILES, TRAINING

LOG = "training_log.csv"
_TERMS = ("margin", "beta", "attention", "similarity", "smoothing")


def write_folder(tuning: Tuning, start: Path, record: Mapping[str, Any]) -> None:
    """Writes a finished training; its record comes last, and the checkpoint goes.

    Args:
        tuning: At its end.
        start: The folder of the backbone that it began with, whose tokenizer and picture processing are kept.
        record: What the training is known by.
    """
    folder = tuning.folder
    tuning.model.save_pretrained(folder, safe_serialization=True)
    for name in {*TOKENIZER_FILES, *layout_named("clip").settings, "special_tokens_map.json"} - {"config.json"}:
        if (start / name).is_file():
            shutil.copyfile(start / name, folder / name)
    write_text(folder / LOG, tuning.table())
    write_text(folder / "README.md", _card(folder.name, record))
    write_json(folder / TRAINING, record)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _card(name: str, record: Mapping[str, Any]) -> str:
    recipe, data = record["recipe"], record["data"]
    on = [f"{term} {recipe[term]:g}" for term in _TERMS if recipe[term]] or ["none: plain fine-tuning"]
    if recipe["similarity"]:
        on.append(f"similarity in the {recipe['similarity_form']}'s form")
    return "\n".join([
        f"# {name}",
        "",
        f"The vision tower and projection of {record['start']['name']}, fine-tuned; the text tower is as it was.",
        "",
        f"- Data: {data['task']}, split {data['split']}, {data['pictures']} pictures of {data['classes']} classes, "
        "no augmentation",
        f"- Texts: {data['template']}",
        f"- Terms beside cross-entropy: {', '.join(on)}",
        f"- {recipe['steps']} steps of {recipe['batch']} pictures, AdamW, learning rate {recipe['learning_rate']:g} with a "
        f"cosine to 0, weight decay {recipe['weight_decay']:g}",
        f"- Seed {recipe['seed']} (order of the pictures); arithmetic {record['arithmetic']}",
        "",
        f"`{TRAINING}` has all of it in full and is part of the identity of runs with it; `{LOG}` has the losses.",
        "",
    ])  # fmt: skip
