"""What pyproject.toml cannot say: a wheel carries the repository's example folder within the package."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithExamples(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # a checkout has the folder beside the package
            copytree(Path(__file__).parent / "example", Path(self.build_lib) / "songbloom/example", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithExamples})
