"""Referring expression comprehension where what an expression says of places and sizes is worked out, as ReCLIP does."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from benchmarks.data.samples import Picture, Query, Sample
from benchmarks.measure.relations import asked_texts, related_scores
from benchmarks.records.record import Record
from benchmarks.tasks import Combine, Task, combined, rows
from benchmarks.tasks.rec import ReferringExpressions
from falip.errors import UserError
from falip.relations import parse


@dataclass(frozen=True)
class RelatedExpressions(ReferringExpressions):
    """The same task decided by relations: entities are scored beside the whole expression (methods/parse.py of ReCLIP).

    Relations look at all candidates: what is too small to be meant ("the cup left of the spoon") still has a place.
    """

    def pictures(self, sample: Sample) -> list[Picture]:
        """The image with the regions of all candidates, clipped to it."""
        return [self.picture(sample, range(len(sample.boxes)))]

    def texts(self, sample: Sample) -> list[str]:
        """All texts that the expressions of the image ask for, each once."""
        return list(dict.fromkeys(text for query in sample.queries for text in _asked(sample, query)))

    def decide(self, sample: Sample, scores: np.ndarray, combine: Combine, outside: int) -> list[Record]:
        """One record for each expression, with the scores of all its texts; its component scores are the expression's."""
        place = {text: t for t, text in enumerate(self.texts(sample))}
        total, parts = combined(scores, combine), self.placed(sample, scores)
        boxes = tuple((x0, y0, max(x0, x1), max(y0, y1)) for x0, y0, x1, y1 in sample.boxes)
        size, records = sample.pictures[0].image.size, []
        for query in sample.queries:
            texts = _asked(sample, query)
            of_texts = total[:, [place[text] for text in texts]].T.astype(np.float32)
            decisive = related_scores(parse(query.text), of_texts, boxes, size, self.min_area)
            decisive = np.where(np.isnan(parts[0, :, 0]), np.nan, decisive)
            record = self.record(sample, query, parts[:, :, place[texts[0]]], decisive, outside)
            records.append(replace(record, texts=texts, text_scores=rows(of_texts), boxes=boxes, image_size=size))
        return records


def related(task: Task) -> RelatedExpressions:
    """The task with relations.

    Raises:
        UserError: If it has no expressions.
    """
    if type(task) is not ReferringExpressions:
        raise UserError(
            f"text.relations=true: {task.name} has no expressions whose relations could be worked out; tasks that choose "
            "one of several boxes have (task=rec/refcoco and its like). Choose text=default."
        )
    return RelatedExpressions(**{field.name: getattr(task, field.name) for field in fields(task)})


def _asked(sample: Sample, query: Query) -> tuple[str, ...]:
    return asked_texts(parse(query.text), len(sample.boxes))
