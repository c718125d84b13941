"""Visual prompting of CLIP: a prompt turns (image, regions) into views, and a view is pixels plus an attention bias."""

from falip.backbone import Backbone, load_backbone
from falip.depth import depth_maps
from falip.errors import UserError
from falip.foveal import foveal_bias
from falip.geometry import Geometry
from falip.prompts import (
    Blur,
    Compose,
    Crop,
    Ensemble,
    FeatureMask,
    Foveal,
    Grayscale,
    HardMask,
    PastaStyle,
    Plain,
    RedCircle,
    ReplaceQK,
    ReplaceV,
    Shade,
    Unleash,
)
from falip.regions import Region
from falip.scoring import score
from falip.views import Bias, Component, Intervention, Prompt, Views

__all__ = [
    "Backbone",
    "Bias",
    "Blur",
    "Component",
    "Compose",
    "Crop",
    "Ensemble",
    "FeatureMask",
    "Foveal",
    "Geometry",
    "Grayscale",
    "HardMask",
    "Intervention",
    "PastaStyle",
    "Plain",
    "Prompt",
    "RedCircle",
    "Region",
    "ReplaceQK",
    "ReplaceV",
    "Shade",
    "Unleash",
    "UserError",
    "Views",
    "depth_maps",
    "foveal_bias",
    "load_backbone",
    "score",
]
