"""Build of the source distribution; all else is in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent


class LinkedSdist(sdist):
    """Source distribution in which links are links, so that no file is in it twice."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Write the files, and then the links of the checkout that lead to other files in it.

        Args:
            base_dir: folder that becomes the archive.
            files: paths of all files, relative to the checkout; what lies behind a link is left to the link.
        """
        links = [
            path.relative_to(HERE) for path in (HERE / "profiles", *(HERE / "src").rglob("*")) if path.is_symlink()
        ]
        behind = [f"{link.as_posix()}/" for link in links]
        names = {link.as_posix() for link in links}
        own = [file for file in files if Path(file).as_posix() not in names and not file.startswith(tuple(behind))]
        super().make_release_tree(base_dir, own)
        for link in links:
            (Path(base_dir) / link).parent.mkdir(parents=True, exist_ok=True)
            (Path(base_dir) / link).symlink_to((HERE / link).readlink())


setup(cmdclass={"sdist": LinkedSdist})
