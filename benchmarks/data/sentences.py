"""One sentence for each class in the place of its name, from a file."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.acquire.check import SENTENCES_SOURCE
from benchmarks.data.files import read_json, readable, shown
from falip.errors import UserError

_OTHER = "Point task.sentences.file=... at the file."


class ClassSentences(Mapping[str, Any]):
    """Sentences of classes, read when they are first needed; as a mapping they are what a run's identity has of them.

    `texts` are the sentences: a list in label order, or by class where the file names classes. `view_weights` is there
    where the file has some, and `searched` where sentences were picked by their accuracy on test labels.

    Args:
        file: PointCLIP V2's `trainers/best_param.py`, which is read and never run; or classes and sentences, a JSON
            object or a CSV table with the columns `class` and `sentence`.
        entry: Of PointCLIP V2's file the data set and tower, such as `modelnet40_vit_b16`; else null.

    Raises:
        UserError: When read, if the file is missing, broken, or has not what is asked for.
    """

    def __init__(self, file: str, entry: str | None = None) -> None:
        self.file, self.entry = Path(file).expanduser(), entry

    def __getitem__(self, key: str) -> Any:
        return self._content[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    @cached_property
    def _content(self) -> dict[str, Any]:
        if not self.file.is_file():
            raise UserError(f"The sentences of classes {self.file.absolute()} are missing. {self._mend}")
        if self.entry is not None:
            return self._released(self.entry)
        return {"texts": self._by_class()}

    @property
    def _mend(self) -> str:
        return f"Put {SENTENCES_SOURCE} there, or set task.sentences.file=FILE." if self.entry is not None else _OTHER

    def _released(self, entry: str) -> dict[str, Any]:
        """Lists `ENTRY_test_prompts`, in label order, and `ENTRY_test_weights` (trainers/best_param.py)."""
        with readable(self.file, self._mend):
            text = self.file.read_text(encoding="utf-8")
        try:
            values = dict(_constants(ast.parse(text)))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UserError(f"{self.file} is no list of sentences and weights ({error}). {self._mend}") from None
        texts, weights = (values.get(f"{entry}_test_{what}") for what in ("prompts", "weights"))
        if texts is None or weights is None:
            known = sorted(key.removesuffix("_test_prompts") for key in values if str(key).endswith("_test_prompts"))
            raise UserError(
                f"{self.file} has nothing for task.released, {entry!r}. There are: {', '.join(known) or 'none'}."
            )
        if not _all(texts, str) or not _all(weights, (int, float)):
            raise UserError(f"{self.file}: {entry} must have a list of sentences and one of numbers. {self._mend}")
        return {"texts": list(texts), "view_weights": [float(one) for one in weights], "searched": True}

    def _by_class(self) -> dict[str, str]:
        if self.file.suffix.lower() == ".json":
            found = read_json(self.file, _OTHER)
            if not isinstance(found, dict) or not _all(list(found.values()), str):
                raise UserError(f"{self.file}: expected one object with a sentence for each class. {_OTHER}")
            return found
        with readable(self.file, _OTHER), self.file.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"class", "sentence"} <= set(rows.fieldnames or ()):
                raise UserError(f"{self.file}: expected the columns class, sentence, and found {shown(rows.fieldnames)}.")
            found = {}
            for row in rows:
                name, sentence = row["class"], row["sentence"]
                if not name or not sentence or name in found:
                    problem = "has a line already" if name in found else "has no sentence"
                    raise UserError(f"{self.file}, line {rows.line_num}: the class {shown(name)} {problem}.")
                found[name] = sentence
            return found


def sentences_of(found: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """The sentence of each class, in label order.

    Args:
        found: A `ClassSentences`, or what an identity has of it.
        names: Names of the classes in label order; "_" and " " are the same in them.

    Raises:
        UserError: If there are not as many sentences as classes, or a class has none.
    """
    texts = found["texts"]
    if not isinstance(texts, Mapping):
        if len(texts) != len(names):
            raise UserError(f"task.sentences has {len(texts)} sentences, and the data {len(names)} classes.")
        return list(texts)
    by_name = {name.replace("_", " "): text for name, text in texts.items()}
    words = [name.replace("_", " ") for name in names]
    lacking = [name for name in words if name not in by_name]
    if lacking:
        raise UserError(f"task.sentences.file has no sentence for {', '.join(lacking[:5])}. Each class needs one.")
    return [by_name[name] for name in words]


def _all(values: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, kind) for value in values)


def _constants(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Keys and values of assignments `NAME["KEY"] = LITERAL`, and of dictionaries `NAME = {"KEY": LITERAL, ...}`."""
    for statement in tree.body:
        if not isinstance(statement, ast.Assign):
            continue
        target = statement.targets[0]
        if isinstance(target, ast.Subscript):
            yield ast.literal_eval(target.slice), ast.literal_eval(statement.value)
        elif isinstance(statement.value, ast.Dict):
            yield from ast.literal_eval(statement.value).items()
