"""CLIP with a ViT tower: loading it, and encoding views, regions and text."""

from falip.backbone.backbone import Backbone, Sharing
from falip.backbone.loading import load_backbone

__all__ = ["Backbone", "Sharing", "load_backbone"]
