"""Runs that save each batch at once, so that tests can end them between two."""

from collections.abc import Iterator

import pytest

from benchmarks.run import saving


@pytest.fixture(autouse=True, scope="session")
def _each_batch_is_saved() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(saving, "EVERY_S", 0.0)
        yield
