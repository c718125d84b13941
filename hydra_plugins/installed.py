"""Hydra asks plugins alone for more folders of configurations; which those are, `benchmarks.settings.folders` knows."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class InstalledConfigurations(SearchPathPlugin):
    """The configurations of packages with an entry point, behind the project's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Adds a folder for each package."""
        from benchmarks.settings.folders import installed

        for package in installed():
            search_path.append(package.distribution, f"file://{package.folder}")
