"""Measures an embedded model on held-out scenes, by what the expressions name; no records, no configs.

python scripts/check_tiny.py results/train_tiny --scenes 200
"""

import argparse
from collections.abc import Mapping

import numpy as np
import torch

import falip
from benchmarks.embedded.clouds import SOLIDS, solid_cloud
from benchmarks.embedded.shapes import CLASS_NAMES, HELD_OUT_CLASSES, SLICES, classification_scene, rec_scene

PROMPTS: Mapping[str, falip.Prompt] = {
    "plain": falip.Plain(),
    "falip": falip.Foveal(alpha=0.2, sigma=100.0, layers=4),
    "red circle": falip.RedCircle(),
    "blur": falip.Blur(),
    "crop": falip.Crop(),
}


def referring(backbone: falip.Backbone, prompt: falip.Prompt, scenes: int) -> dict[str, float]:
    """Accuracy in percent over all queries and for each slice, and chance."""
    hits: dict[str, list[float]] = {name: [] for name in ("all", "chance", *SLICES)}
    for index in range(scenes):
        drawn = rec_scene(index)
        regions = [falip.Region.from_box(*item.box) for item in drawn.scene.objects]
        texts = [f"a photo of {query.text}" for query in drawn.queries]
        chosen = falip.score(backbone, drawn.scene.image, regions, prompt, texts).argmax(0).tolist()
        for query, choice in zip(drawn.queries, chosen, strict=True):
            hits["all"].append(choice == query.target)
            hits[query.slice].append(choice == query.target)
            hits["chance"].append(1 / len(regions))
    return {name: 100 * float(np.mean(values)) for name, values in hits.items()}


def classification(backbone: falip.Backbone, prompt: falip.Prompt, scenes: int) -> dict[str, float]:
    """Top-1 accuracy in percent, over all and over held-out pairs."""
    texts = [f"a photo of a {name}." for name in CLASS_NAMES]
    hits: dict[str, list[bool]] = {"all": [], "held-out": []}
    for index in range(scenes):
        scene, target, name = classification_scene(index)
        region = falip.Region.from_box(*scene.objects[target].box)
        right = CLASS_NAMES[int(falip.score(backbone, scene.image, [region], prompt, texts)[0].argmax())] == name
        hits["all"].append(right)
        if name in HELD_OUT_CLASSES:
            hits["held-out"].append(right)
    return {name: 100 * float(np.mean(values)) for name, values in hits.items()}


def solids(backbone: falip.Backbone, clouds: int) -> float:
    """Zero-shot accuracy in percent of plain CLIP on PointCLIP's depth maps, ten classes."""
    drawn = [solid_cloud(index) for index in range(clouds)]
    maps = falip.depth_maps(torch.from_numpy(np.stack([points for points, _ in drawn]))).flatten(0, 1)
    side = backbone.geometry.image_size
    pixels = torch.nn.functional.interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=True)
    with torch.inference_mode():
        output = backbone.model.get_image_features(pixel_values=pixels.repeat(1, 3, 1, 1))
    embeddings = torch.nn.functional.normalize(output.pooler_output, dim=-1)
    texts = backbone.encode_text([f"point cloud depth map of a {name}." for name in SOLIDS])
    scores = (embeddings @ texts.T).unflatten(0, (clouds, 6)).mean(1)
    return 100 * float((scores.argmax(1) == torch.tensor([label for _, label in drawn])).float().mean())


def main() -> None:
    """Reads the command line and prints the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="tiny", help="embedded, a folder, or a hub id")
    parser.add_argument("--scenes", type=int, default=200, help="number of scenes and of clouds")
    arguments = parser.parse_args()
    backbone = falip.load_backbone(arguments.model)
    print(f"{'REC':12}" + "".join(f"{name:>15}" for name in ("all", "chance", *SLICES)))
    for name, prompt in PROMPTS.items():
        values = referring(backbone, prompt, arguments.scenes).values()
        print(f"{name:12}" + "".join(f"{value:15.1f}" for value in values), flush=True)
    for name in ("plain", "falip", "crop"):
        found = classification(backbone, PROMPTS[name], arguments.scenes)
        print(f"classification {name}: {found['all']:.1f}, held-out pairs {found['held-out']:.1f}", flush=True)
    print(f"solids, plain: {solids(backbone, arguments.scenes):.1f}")


if __name__ == "__main__":
    main()
