"""FGVP's prompts: drawn with OpenCV on a canvas, and resized in a way of their own."""

from falip.prompts.fgvp.prompt import FGVP

__all__ = ["FGVP"]
