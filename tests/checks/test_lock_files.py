"""The lock files pin what the packages ask for, with hashes, and name no place to fetch it from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from parley_launcher.install import LOCKS, ROOT, packages

LOCK_FILES = [pytest.param(path, id=path.name) for path in LOCKS.values()]
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)(\[[a-z0-9,-]+\])?==(?P<version>\S+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    return {each["name"]: each["version"] for each in PIN.finditer(text)}


def asked_for(*groups: str) -> Iterator[Requirement]:
    """Yield what the packages and the root's groups ask for, but for Parley's own packages."""
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [each for group in groups for each in root["dependency-groups"][group]]
    for folder in packages():
        asked += tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
    for each in map(Requirement, asked):
        if not each.name.startswith("parley-"):
            yield each


@pytest.mark.parametrize("wanted", ["run", "test"])
def test_everything_asked_for_is_pinned_at_a_version_that_fits(wanted: str) -> None:
    found = pins(LOCKS[wanted].read_text())
    groups = ("install", "dev") if wanted == "test" else ("install",)
    for each in asked_for(*groups):
        version = found.get(canonicalize_name(each.name))
        assert version, f"{each} is not pinned; './parley lock' pins it"
        assert each.specifier.contains(version), f"{each} is pinned at {version}"


def test_what_tests_holds_what_runs_at_the_same_versions() -> None:
    run, test = (pins(LOCKS[each].read_text()) for each in ("run", "test"))
    assert run.items() <= test.items()


@pytest.mark.parametrize("path", LOCK_FILES)
def test_every_pin_has_a_hash(path: Path) -> None:
    for block in re.split(r"\n(?=\S)", path.read_text()):
        assert not PIN.match(block) or "--hash=sha256:" in block, block


@pytest.mark.parametrize("path", LOCK_FILES)
def test_no_place_to_fetch_from_is_named(path: Path) -> None:
    assert not re.search(r"://|@ |file:|--index|--find-links|--extra|--trusted", path.read_text())


def test_the_root_knows_every_package() -> None:
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = {
        tomllib.loads((each / "pyproject.toml").read_text())["project"]["name"]
        for each in packages()
    }
    modules = {each.replace("-", "_") for each in names}
    assert set(root["dependency-groups"]["services"]) == names
    assert set(root["tool"]["uv"]["sources"]) == names
    assert set(root["tool"]["importlinter"]["root_packages"]) == modules
    folders = {str(each.relative_to(ROOT)) for each in packages()}
    assert set(root["tool"]["mypy"]["mypy_path"]) - {"tests"} == folders
