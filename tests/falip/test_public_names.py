"""The public names of the library come from where they are declared, and cost nothing until they are used."""

import subprocess
import sys

import pytest

import falip


@pytest.mark.parametrize("name", falip.__all__)
def test_each_public_name_can_be_imported(name):
    assert getattr(falip, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_prompt"):
        falip.no_such_prompt  # noqa: B018


def test_the_error_class_alone_does_not_import_torch():
    code = "import sys; from falip.errors import UserError; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
