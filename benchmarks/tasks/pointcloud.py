"""Recognition of 3D point clouds from their depth maps, as PointCLIP does it."""

from __future__ import annotations

from benchmarks.tasks.classification import Recognition


class PointCloudRecognition(Recognition):
    """Zero-shot 3D recognition: the scores of all views are summed with equal weights.

    PointCLIP's score is 100 / sqrt(6) times the sum of the six cosines (trainers/zeroshot.py, lines 74 to 90): the same
    ranking. The scores of each view are stored, so other view weights are a matter of the table and not of the model.
    """
