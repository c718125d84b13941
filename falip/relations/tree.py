"""From the syntax of an expression to its entities, their relations and superlatives, as ReCLIP reads them.

Source: allenai/reclip entity_extraction.py and methods/parse.py (its `Parse`). Nothing here needs spaCy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from falip.relations.keywords import RELATIONS, SUPERLATIVES, Kind, is_superlative, kind_of, names_no_entity, uses_tree

Path = tuple[int, ...]


@dataclass(frozen=True)
class Chunk:
    """A noun phrase: its tokens `start` to `end` (exclusive), its head `root` among them, and how it is written."""

    start: int
    end: int
    root: int
    text: str

    def __contains__(self, token: int) -> bool:
        return self.start <= token < self.end


@dataclass(frozen=True)
class Syntax:
    """The dependency parse of an expression.

    Attributes:
        words: The tokens.
        heads: For each token the index of its syntactic head, its own where it has none.
        chunks: The noun phrases in their order; none overlaps another.
    """

    words: tuple[str, ...]
    heads: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    def children(self, token: int) -> list[int]:
        """Tokens whose head is this one, in the order of the expression."""
        return [child for child, head in enumerate(self.heads) if head == token and child != token]

    def above(self, token: int) -> Iterator[int]:
        """The head of a token, the head of that, and so on up to the root of the sentence."""
        while (head := self.heads[token]) != token:
            yield head
            token = head

    def chunk(self, token: int) -> Chunk | None:
        """The noun phrase that a token is in."""
        return next((chunk for chunk in self.chunks if token in chunk), None)

    def words_of(self, path: Sequence[int]) -> list[str]:
        """The words of some tokens."""
        return [self.words[token] for token in path]


@dataclass(frozen=True)
class Entity:
    """A thing that an expression names, and what is said of its place and size.

    Attributes:
        text: What the candidates are scored with.
        relations: How it stands to other entities.
        superlatives: How it stands to all other candidates.
        asked: The texts that ReCLIP scores for it and for the entities it stands to, in that order, `text` the last.
            Of several phrases that extend an entity each is asked for and the last one counts (methods/parse.py:148-156).
    """

    text: str
    relations: tuple[tuple[Kind, Entity], ...] = ()
    superlatives: tuple[Kind, ...] = ()
    asked: tuple[str, ...] = ()


def root_entity(syntax: Syntax) -> Entity | None:
    """The entity that an expression is about; None where it has no keyword or no noun (methods/parse.py:63-77)."""
    if not uses_tree(syntax.words):
        return None
    heads = [token for token, head in enumerate(syntax.heads) if token == head][:1]
    heads += [syntax.heads[chunk.root] for chunk in syntax.chunks[:1]]
    return next((entity for head in heads if (entity := _entity(syntax, head))), None)


def _entity(syntax: Syntax, head: int) -> Entity | None:
    """The entity of a token or, for "the cat is on the left", of its first child (entity_extraction.py:58-77)."""
    chunk = syntax.chunk(head)
    if chunk is None:
        head = next(iter(syntax.children(head)), head)
        chunk = syntax.chunk(head)
        if chunk is None:
            return None
    found, paths = _walk(syntax, head, chunk, ())
    text, relations, asked = chunk.text, [], []
    for path, other in found:
        kind, entity = kind_of(syntax.words_of(path), RELATIONS), _entity(syntax, other)
        if kind and entity:
            relations.append((kind, entity))
            asked += entity.asked
        else:
            text = _extended(syntax, chunk, other)
            asked.append(text)
    superlatives: list[Kind] = [kind for path in paths if (kind := kind_of(syntax.words_of(path), SUPERLATIVES))]
    return Entity(text, tuple(relations), tuple(superlatives), (*asked, text))


def _walk(syntax: Syntax, token: int, chunk: Chunk, path: Path) -> tuple[list[tuple[Path, int]], list[Path]]:
    """What hangs below a token of an entity's phrase: paths to other entities, and paths that may be a superlative.

    Source: entity_extraction.py:80-117.
    """
    own, word = syntax.chunk(token), syntax.words[token]
    if own and own != chunk and not names_no_entity(word):
        return [(path, token)], []
    children = syntax.children(token)
    if not children:
        return [], [(*path, token)]
    relations, superlatives = [], []
    onward = path if own and not (names_no_entity(word) or is_superlative(word)) else (*path, token)
    for child in children:
        if own and child in own and not is_superlative(syntax.words[child]):
            if len(children) == 1:  # "the goat on the left": "the" says nothing, and the path ends in "left"
                superlatives.append((*path, token))
            continue
        further, ends = _walk(syntax, child, chunk, onward)
        relations += further
        superlatives += ends
    return relations, superlatives


def _extended(syntax: Syntax, chunk: Chunk, other: int) -> str:
    """The phrase of an entity with another that says which one it is: "shirt with blue stripes".

    It has every token of the other phrase that stands below the first one, what leads there from the root of the
    sentence, and all that hangs below it (entity_extraction.py:119-142).
    """
    second, tokens = syntax.chunk(other), set(range(chunk.start, chunk.end))
    assert second
    for target in range(second.start, second.end):
        way = list(syntax.above(target))
        if any(token in chunk for token in way):
            tokens |= {target, *way}
            tokens |= {token for token in range(len(syntax.words)) if target in syntax.above(token)}
    return " ".join(syntax.words_of(sorted(tokens)))
