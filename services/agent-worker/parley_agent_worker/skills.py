"""Skills: instructions in `<root>/<name>/SKILL.md` that an agent may load when it needs them.

The format is the agentskills specification. Reading is lenient: what can be used is used, and what
cannot is shown with its reason. Files are looked at before each turn, so that an edited skill works
at once; only what changed is read again.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import yaml
from parley_contracts.catalog import SkillInfo

from parley_agent_worker.text import sound

FILE = "SKILL.md"
LARGEST_BYTES = 1024 * 1024
LISTED_FILES = 50
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 1024
_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?(.*)\Z", re.DOTALL | re.MULTILINE
)

log = logging.getLogger(__name__)


class SkillProblem(Exception):
    """A skill, or a file of one, cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Skill:
    """A skill that can be loaded; `body` is what follows the front matter."""

    name: str
    description: str
    body: str
    folder: Path

    def files(self) -> list[str]:
        """Return the skill's other files, relative to its folder, sorted."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        names = [sound(path.relative_to(self.folder).as_posix()) for path in found]
        return [name for name in names if name != FILE and not re.search(r"(^|/)\.", name)]

    def read(self, name: str) -> str:
        """Return the text of one of its files; SkillProblem when that is no file of the skill."""
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            files = ", ".join(self.files()[:LISTED_FILES]) or "none"
            raise SkillProblem(f"The skill {self.name} has no file “{name}”; it has: {files}.")
        return _text(path)

    def content(self) -> str:
        """Return the skill as a model gets it: its instructions and the names of its files."""
        files = self.files()
        shown = "\n".join(f"- {name}" for name in files[:LISTED_FILES])
        more = f"\n(and {len(files) - LISTED_FILES} more)" if len(files) > LISTED_FILES else ""
        listing = f"\n\nIts files, for read_skill_file:\n{shown}{more}" if files else ""
        return f'<skill_content name="{self.name}">\n{self.body}{listing}\n</skill_content>'


class SkillLibrary:
    """The skills in some folders; an earlier folder wins over a later one."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._read: dict[Path, tuple[object, Skill | SkillInfo]] = {}
        self._skills: dict[str, Skill] = {}
        self._problems: dict[Path, SkillInfo] = {}
        self._shadowed: set[Path] = set()

    @property
    def infos(self) -> tuple[SkillInfo, ...]:
        """Every skill, and every SKILL.md that cannot be used, by name."""
        good = [
            SkillInfo(name=skill.name, description=skill.description)
            for skill in self._skills.values()
        ]
        return tuple(sorted([*good, *self._problems.values()], key=lambda info: info.name))

    def enabled(self, names: Iterable[str]) -> tuple[Skill, ...]:
        """Look at the files again and return those of the named skills that can be used, sorted."""
        self.scan()
        return tuple(self._skills[name] for name in sorted(set(names)) if name in self._skills)

    def scan(self) -> None:
        """Read what is new or changed, forget what is gone."""
        self._skills, self._problems = {}, {}
        files = [file for root in self._roots for file in _skill_files(root)]
        self._read = {file: self._reading(file) for file in files}
        for file, (_, found) in self._read.items():
            if isinstance(found, SkillInfo):
                self._problems[file] = found
            elif found.name in self._skills:
                self._warn_shadowed(file, found.name)
            else:
                self._skills[found.name] = found

    def _reading(self, file: Path) -> tuple[object, Skill | SkillInfo]:
        """Return the file's version and what is in it; read it only in a version not seen yet."""
        version = _version(file)
        known = self._read.get(file)
        if known and known[0] == version:
            return known
        try:
            return version, read_skill(file)
        except SkillProblem as problem:
            told = sound(str(problem))
            log.warning("%s", told)
            return version, SkillInfo(name=sound(file.parent.name), problem=told)

    def _warn_shadowed(self, file: Path, name: str) -> None:
        if file not in self._shadowed:
            self._shadowed.add(file)
            log.warning("%s is not used: an earlier folder has a skill “%s”, too", file, name)


def _version(file: Path) -> object:
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ctime_ns, state.st_size


def _skill_files(root: Path) -> list[Path]:
    """Return each skill's file; a closed folder's counts, too, and its reading tells why."""
    try:
        folders = sorted(root.iterdir())
    except PermissionError:
        folders = [root]
    except OSError:
        folders = []
    return [folder / FILE for folder in folders if _may_be_a_file(folder / FILE)]


def _may_be_a_file(path: Path) -> bool:
    try:
        return S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def read_skill(file: Path) -> Skill:
    """Return the skill in a SKILL.md; SkillProblem says what makes it unusable."""
    parts = _FRONT_MATTER.match(_text(file))
    if not parts:
        raise SkillProblem(f"{file} does not begin with front matter between two lines of ---.")
    fields = _front_matter(file, parts[1])
    folder = file.parent.name
    name, description = _string(fields, "name") or folder, _string(fields, "description")
    if not description:
        raise SkillProblem(f"{file} has no description; say there what it is for and when.")
    if not _NAME.fullmatch(name):
        raise SkillProblem(f"{file}: the name “{name}” may hold a-z, 0-9 and single hyphens only.")
    if name != folder or len(name) > _LONGEST_NAME or len(description) > _LONGEST_DESCRIPTION:
        log.warning("%s: its name differs from its folder's, or its fields are too long", file)
    return Skill(name, description, parts[2].strip(), file.parent)


def _front_matter(file: Path, text: str) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(text)
    except Exception as error:  # noqa: BLE001  # among them what int() and date() raise
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark else ""
        why = f" ({error})" if isinstance(error, ValueError) else ""
        raise SkillProblem(f"{file}: the front matter is not valid YAML{where}{why}.") from None
    return fields if isinstance(fields, dict) else {}


def _string(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return " ".join(sound(value).split()) if isinstance(value, str) else ""


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise SkillProblem(f"{path} is larger than 1 MB; make it smaller.")
        return sound(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise SkillProblem(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise SkillProblem(_reason(path, error)) from None


def _reason(path: Path, error: OSError) -> str:
    return f"{path} cannot be read ({error.strerror}); mend its permissions or remove it."
