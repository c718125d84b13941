"""Equal work is done once and its bits are copied, so that equal views tie in any batch.

A row of a matrix product depends, in its last bits, on the shape of the whole, so two equal views that are computed in two
places need not come out equal. Therefore each picture, with what is done to the attention in it, has a key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from falip.dense import Place
from falip.views import Component, Views


def with_keys(views: Views, pixels: Tensor) -> Views:
    """The views with their prepared pictures, equal ones once, and the key of each view.

    Args:
        views: What a prompt made.
        pixels: Its pictures, prepared, (images, channels, side, side), on the CPU.
    """
    marks = [_digest(picture) for picture in pixels]
    distinct = {mark: i for i, mark in reversed(list(enumerate(marks)))}  # of equal pictures the first
    order = sorted(distinct.values())
    place = {mark: order.index(i) for mark, i in distinct.items()}
    moved = tuple(component.moved([place[mark] for mark in marks]) for component in views.components)
    seen = [marks[i] for i in order]
    kept = pixels if len(order) == len(marks) else pixels[order]
    return replace(views, images=(), components=moved, pixels=kept, keys=tuple(_keys(c, seen) for c in moved))


def distinct_views(component: Component, keys: Sequence[bytes]) -> tuple[Component, list[int]]:
    """The component with equal views once, and for each of its views its place among those."""
    first: dict[bytes, int] = {}
    for view, key in enumerate(keys):
        first.setdefault(key, view)
    if len(first) == len(keys):
        return component, list(range(len(keys)))
    place = {key: i for i, key in enumerate(first)}
    return component.some(list(first.values())), [place[key] for key in keys]


def first_equal(keys: Sequence[bytes]) -> list[int]:
    """For each key the place of the first that is equal."""
    first: dict[bytes, int] = {}
    return [first.setdefault(key, i) for i, key in enumerate(keys)]


def _digest(tensor: Tensor) -> bytes:
    return hashlib.sha1(_bytes(tensor), usedforsecurity=False).digest()


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().numpy().data.cast("B")


def _keys(component: Component, marks: Sequence[bytes]) -> tuple[bytes, ...]:
    """For each view what it sees and what is done in it; `marks` are the digests of the pictures."""
    surgery, reading = component.intervention, component.reading
    done = ([(bias.layers, bias.form) for bias in component.biases], surgery and (surgery.change, surgery.layers))
    common = repr((*done, reading.readout) if reading else done).encode()
    tensors = [bias.rows for bias in component.biases]
    tensors += [surgery.tokens] if surgery and surgery.tokens is not None else []
    found = []
    for view, image in enumerate(component.image_index):
        key = hashlib.sha1(common + marks[image], usedforsecurity=False)
        if surgery and surgery.reference is not None:
            key.update(marks[surgery.reference[view]])
        for tensor in tensors:
            key.update(_bytes(tensor[view]))
        if reading:
            _add_place(key, reading.places[view], marks)
        found.append(key.digest())
    return tuple(found)


def _add_place(key: Any, place: Place, marks: Sequence[bytes]) -> None:
    """Puts into a key where a view is read."""
    for weights in (place.weights, place.among):
        if weights is not None:
            key.update(repr(weights.shape).encode() + np.ascontiguousarray(weights).data.cast("B"))
    key.update(repr(place.tiles).encode() + b"".join(marks[part] for part in place.parts))
