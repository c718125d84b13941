"""MATLAB files, read in a process of its own: on some damaged ones scipy's reader takes its process down."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_READ = """
import pickle, sys
import scipy.io

content = scipy.io.loadmat(sys.argv[1])
sys.stdout.buffer.write(pickle.dumps({key: value for key, value in content.items() if not key.startswith("__")}))
"""


def read_matlab(path: Path) -> Mapping[str, np.ndarray]:
    """The variables of a `.mat` file.

    Raises:
        ValueError: If it cannot be read; says why.
    """
    done = subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, check=False)
    if done.returncode < 0:
        raise ValueError("its reader was ended by the system")
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace").strip().rpartition("\n")[2])
    return pickle.loads(done.stdout)
