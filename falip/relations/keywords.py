"""The words that ReCLIP takes for a relation between two candidates, a superlative, or no entity of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

Kind = Literal["left", "right", "above", "below", "bigger", "smaller", "within"]

# allenai/reclip heuristics.py:16-24. Where several groups have a word of a path, the first of them counts.
RELATIONS: Mapping[Kind, frozenset[str]] = {
    "left": frozenset({"left", "west"}),
    "right": frozenset({"right", "east"}),
    "above": frozenset({"above", "north", "top", "back", "behind"}),
    "below": frozenset({"below", "south", "under", "front"}),
    "bigger": frozenset({"bigger", "larger", "closer"}),
    "smaller": frozenset({"smaller", "tinier", "further"}),
    "within": frozenset({"inside", "within", "contained"}),
}
# heuristics.py:30-37
SUPERLATIVES: Mapping[Kind, frozenset[str]] = {
    "left": frozenset({"left", "west", "leftmost", "western"}),
    "right": frozenset({"right", "rightmost", "east", "eastern"}),
    "above": frozenset({"above", "north", "top"}),
    "below": frozenset({"below", "south", "underneath", "front"}),
    "bigger": frozenset({"bigger", "biggest", "larger", "largest", "closer", "closest"}),
    "smaller": frozenset({"smaller", "smallest", "tinier", "tiniest", "further", "furthest"}),
}
# heuristics.py:40. Nouns that name a part of the picture and nothing in it: "the left side of the table".
NULL = frozenset({"part", "image", "side", "picture", "half", "region", "section"})

_RELATION = frozenset[str]().union(*RELATIONS.values())
_SUPERLATIVE = frozenset[str]().union(*SUPERLATIVES.values())


def kind_of(words: Collection[str], groups: Mapping[Kind, frozenset[str]]) -> Kind | None:
    """The first group that has one of the words, or None."""
    return next((kind for kind, group in groups.items() if not group.isdisjoint(words)), None)


def names_no_entity(word: str) -> bool:
    """Whether a noun stands for a relation or a part of the picture, and not for an entity."""
    return word in _RELATION or word in NULL


def is_superlative(word: str) -> bool:
    """Whether a word may stand for a superlative."""
    return word in _SUPERLATIVE


def uses_tree(words: Collection[str]) -> bool:
    """Whether an expression of these words has any relation or superlative at all (methods/parse.py:77)."""
    return not (_RELATION | _SUPERLATIVE).isdisjoint(words)
