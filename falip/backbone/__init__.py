"""CLIP with a ViT tower: loading it, and encoding views, regions and text."""

from falip.backbone.backbone import Backbone
from falip.backbone.loading import load_backbone
from falip.views import Sharing

__all__ = ["Backbone", "Sharing", "load_backbone"]
