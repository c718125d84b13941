"""Read-outs: what becomes a region's embedding in the place of the pooled token. Each is a prompt on the plain picture."""

from falip.readouts.gradcam import GradCAM
from falip.readouts.mask_inversion import MaskInversion
from falip.readouts.mask_pool import MaskPool
from falip.readouts.roi_align import ROIAlign
from falip.readouts.text_region import TextRegion

__all__ = ["GradCAM", "MaskInversion", "MaskPool", "ROIAlign", "TextRegion"]
