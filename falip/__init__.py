"""Visual prompting of CLIP: a prompt turns (image, regions) into views, and a view is pixels plus an attention bias."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.notebook import compare, evaluate, records, runs
    from falip import relations
    from falip.backbone import Backbone, load_backbone
    from falip.depth import depth_maps
    from falip.errors import UserError
    from falip.foveal import foveal_bias
    from falip.geometry import Geometry
    from falip.picture.show import show
    from falip.prompts import (
        FGVP,
        Alpha,
        Blackout,
        Blur,
        Compose,
        Crop,
        Ensemble,
        FeatureMask,
        Foveal,
        GradCAM,
        Grayscale,
        HardMask,
        Marker,
        MaskInversion,
        MaskPool,
        PastaStyle,
        Plain,
        RedCircle,
        ReplaceQK,
        ReplaceV,
        ROIAlign,
        Shade,
        TextRegion,
        Unleash,
    )
    from falip.regions import Region
    from falip.scoring import score
    from falip.views import Bias, Component, Intervention, Preparation, Prompt, Views

# The module of each public name, imported at its first use: `falip.errors` alone must not bring torch along, for
# commands that only read records or fetch data answer at once.
_HOMES = {
    "Alpha": "falip.prompts",
    "Backbone": "falip.backbone",
    "Bias": "falip.views",
    "Blackout": "falip.prompts",
    "Blur": "falip.prompts",
    "Component": "falip.views",
    "Compose": "falip.prompts",
    "Crop": "falip.prompts",
    "Ensemble": "falip.prompts",
    "FGVP": "falip.prompts",
    "FeatureMask": "falip.prompts",
    "Foveal": "falip.prompts",
    "Geometry": "falip.geometry",
    "GradCAM": "falip.prompts",
    "Grayscale": "falip.prompts",
    "HardMask": "falip.prompts",
    "Intervention": "falip.views",
    "Marker": "falip.prompts",
    "PastaStyle": "falip.prompts",
    "MaskInversion": "falip.prompts",
    "MaskPool": "falip.prompts",
    "Plain": "falip.prompts",
    "Preparation": "falip.views",
    "Prompt": "falip.views",
    "ROIAlign": "falip.prompts",
    "RedCircle": "falip.prompts",
    "Region": "falip.regions",
    "ReplaceQK": "falip.prompts",
    "ReplaceV": "falip.prompts",
    "Shade": "falip.prompts",
    "TextRegion": "falip.prompts",
    "Unleash": "falip.prompts",
    "UserError": "falip.errors",
    "Views": "falip.views",
    # The harness, where it is installed too: names for people, which nothing in the library uses.
    "compare": "benchmarks.notebook",
    "evaluate": "benchmarks.notebook",
    "records": "benchmarks.notebook",
    "runs": "benchmarks.notebook",
    "depth_maps": "falip.depth",
    "foveal_bias": "falip.foveal",
    "load_backbone": "falip.backbone",
    "relations": "falip.relations",
    "score": "falip.scoring",
    "show": "falip.picture.show",
}

__all__ = [
    "FGVP",
    "Alpha",
    "Backbone",
    "Bias",
    "Blackout",
    "Blur",
    "Component",
    "Compose",
    "Crop",
    "Ensemble",
    "FeatureMask",
    "Foveal",
    "Geometry",
    "GradCAM",
    "Grayscale",
    "HardMask",
    "Intervention",
    "Marker",
    "MaskInversion",
    "MaskPool",
    "PastaStyle",
    "Plain",
    "Preparation",
    "Prompt",
    "ROIAlign",
    "RedCircle",
    "Region",
    "ReplaceQK",
    "ReplaceV",
    "Shade",
    "TextRegion",
    "Unleash",
    "UserError",
    "Views",
    "compare",
    "depth_maps",
    "evaluate",
    "foveal_bias",
    "load_backbone",
    "records",
    "relations",
    "runs",
    "score",
    "show",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module at the first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    value = home if home.__name__ == f"{__name__}.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
