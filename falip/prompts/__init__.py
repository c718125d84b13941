"""The prompts: each turns (image, regions) into views."""

from falip.prompts.combine import Compose, Ensemble
from falip.prompts.foveal import Foveal, HardMask, PastaStyle
from falip.prompts.interventions import FeatureMask, ReplaceQK, ReplaceV, Unleash
from falip.prompts.pictures import Blur, Crop, Grayscale, Plain, RedCircle, Shade

__all__ = [
    "Blur",
    "Compose",
    "Crop",
    "Ensemble",
    "FeatureMask",
    "Foveal",
    "Grayscale",
    "HardMask",
    "PastaStyle",
    "Plain",
    "RedCircle",
    "ReplaceQK",
    "ReplaceV",
    "Shade",
    "Unleash",
]
