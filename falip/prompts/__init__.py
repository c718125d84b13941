"""The prompts: each turns (image, regions) into views."""

from falip.prompts.alpha import Alpha
from falip.prompts.blackout import Blackout
from falip.prompts.combine import Compose, Ensemble
from falip.prompts.feature_mask import FeatureMask
from falip.prompts.fgvp import FGVP
from falip.prompts.foveal import Foveal, HardMask, PastaStyle
from falip.prompts.marker import Marker
from falip.prompts.pictures import Blur, Crop, Grayscale, Plain, RedCircle, Shade
from falip.prompts.replace import ReplaceQK, ReplaceV
from falip.prompts.unleash import Unleash
from falip.readouts import GradCAM, MaskInversion, MaskPool, ROIAlign, TextRegion

__all__ = [
    "FGVP",
    "Alpha",
    "Blackout",
    "Blur",
    "Compose",
    "Crop",
    "Ensemble",
    "FeatureMask",
    "Foveal",
    "GradCAM",
    "Grayscale",
    "HardMask",
    "Marker",
    "MaskInversion",
    "MaskPool",
    "PastaStyle",
    "Plain",
    "ROIAlign",
    "RedCircle",
    "ReplaceQK",
    "ReplaceV",
    "Shade",
    "TextRegion",
    "Unleash",
]
