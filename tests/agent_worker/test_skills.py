"""Skills: read leniently, shown when unusable, fresh at every look, held in their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from parley_agent_worker.skills import SkillLibrary, SkillProblem
from parley_agent_worker.tools.skills import skill_tools
from parley_agent_worker.tools.tool import ToolContext
from parley_agent_worker.tools.toolbox import Result, run
from parley_contracts.turns import ToolCall

SHIPPED = Path(__file__).parents[2] / ".agents" / "skills"
GOOD = "---\nname: {name}\ndescription: What {name} is for.\n---\n\n# {name}\n\nDo it.\n"


def write(root: Path, name: str, text: str | None = None) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SKILL.md").write_text(GOOD.format(name=name) if text is None else text)
    return folder


def problems(library: SkillLibrary) -> dict[str, str]:
    library.scan()
    return {info.name: info.problem for info in library.infos if info.problem}


@pytest.fixture
def library(tmp_path: Path) -> SkillLibrary:
    return SkillLibrary([tmp_path / "project", tmp_path / "home"])


def test_the_named_skills_come_sorted_and_the_others_stay_away(
    library: SkillLibrary, tmp_path: Path
) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path / "project", name)
    assert [skill.name for skill in library.enabled(["b", "a", "a", "missing"])] == ["a", "b"]


def test_an_edited_skill_works_at_the_next_look(library: SkillLibrary, tmp_path: Path) -> None:
    write(tmp_path / "project", "a")
    assert "Do it." in library.enabled(["a"])[0].body
    write(tmp_path / "project", "a", GOOD.format(name="a").replace("Do it.", "Do it better."))
    assert "Do it better." in library.enabled(["a"])[0].body
    (tmp_path / "project" / "a" / "SKILL.md").unlink()
    assert library.enabled(["a"]) == ()


def test_an_unchanged_skill_is_not_read_again(library: SkillLibrary, tmp_path: Path) -> None:
    write(tmp_path / "project", "a")
    assert library.enabled(["a"])[0] is library.enabled(["a"])[0]


def test_the_projects_skill_wins_over_the_homes(
    library: SkillLibrary, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "home", "a", GOOD.format(name="a").replace("Do it.", "From home."))
    write(tmp_path / "project", "a")
    assert "Do it." in library.enabled(["a"])[0].body
    library.scan()
    assert [record.message.count("is not used") for record in caplog.records] == [1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no front matter", "front matter"),
        ("---\nname: bad\n---\nbody", "has no description"),
        ("---\nname: bad\ndescription: a: b: c\n---\nbody", "not valid YAML in line 3"),
        ("---\ndescription: x\ncreated: 2024-99-99\n---\nbody", "YAML (month must be in 1..12)."),
        (
            "---\ndescription: x\nn: 2024-01-01T99:00:00Z\n---\nbody",
            "YAML (hour must be in 0..23).",
        ),
        (f"---\ndescription: x\ndeep: {'[' * 5000}\n---\nbody", "not valid YAML."),
        (f"---\ndescription: x\ndeep: {'[' * 500}{']' * 500}\n---\nbody", "not valid YAML."),
        ("---\ndescription: x\nsize: !!int x\n---\nbody", "YAML (invalid literal for int()"),
        ("---\ndescription: x\nwhy: !!timestamp x\n---\nbody", "not valid YAML."),
        ("---\ndescription: x\nwhy: !!bool x\n---\nbody", "not valid YAML."),
        ("---\nname: Not Good\ndescription: x\n---\nbody", "may hold a-z"),
        ("---\n- a list\n---\nbody", "has no description"),
    ],
)
def test_what_cannot_be_used_is_shown_with_its_reason(
    library: SkillLibrary, tmp_path: Path, text: str, reason: str
) -> None:
    write(tmp_path / "project", "bad", text)
    write(tmp_path / "project", "good")
    assert reason in problems(library)["bad"]
    assert [skill.name for skill in library.enabled(["bad", "good"])] == ["good"]


def test_unreadable_bytes_are_shown_and_mended(library: SkillLibrary, tmp_path: Path) -> None:
    folder = write(tmp_path / "project", "bad")
    (folder / "SKILL.md").write_bytes(b"---\nname: \xff\n---\n")
    assert "is not UTF-8" in problems(library)["bad"]
    (folder / "SKILL.md").write_bytes(b"x" * (1024 * 1024 + 1))
    assert "larger than 1 MB" in problems(library)["bad"]
    write(tmp_path / "project", "bad")
    assert problems(library) == {}


def test_what_differs_only_in_form_is_used(library: SkillLibrary, tmp_path: Path) -> None:
    write(tmp_path / "project", "folder", "\ufeff---\r\ndescription: >\r\n  long\r\n---\r\nBody")
    write(tmp_path / "project", "other", GOOD.format(name="its-own-name"))
    assert [skill.name for skill in library.enabled(["folder", "its-own-name"])] == [
        "folder",
        "its-own-name",
    ]


def test_characters_that_cannot_be_stored_are_mended(library: SkillLibrary, tmp_path: Path) -> None:
    write(tmp_path / "project", "a", '---\ndescription: "a\\0b \\ud800c"\n---\nbody')
    assert problems(library) == {}
    assert library.infos[0].description == "ab \ufffdc"


def test_names_that_are_not_utf_8_are_shown_all_the_same(
    library: SkillLibrary, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    write(tmp_path / "project", odd, "no front matter")
    (write(tmp_path / "project", "a") / odd).touch()
    assert "front matter" in problems(library)["caf\ufffd"]
    assert library.enabled(["a"])[0].files() == ["caf\ufffd"]


def test_missing_folders_are_no_problem(library: SkillLibrary) -> None:
    assert problems(library) == {}


def test_a_skill_lists_its_files_and_reads_them(library: SkillLibrary, tmp_path: Path) -> None:
    folder = write(tmp_path / "project", "a")
    (folder / "references").mkdir()
    (folder / "references" / "x.md").write_text("the reference")
    (folder / ".hidden").write_text("")
    skill = library.enabled(["a"])[0]
    assert skill.files() == ["references/x.md"]
    assert skill.read("references/x.md") == "the reference"
    assert skill.content().startswith('<skill_content name="a">\n# a')
    assert "- references/x.md" in skill.content()


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "references", "none.md", ""])
def test_nothing_outside_a_skills_folder_is_read(
    library: SkillLibrary, tmp_path: Path, path: str
) -> None:
    folder = write(tmp_path / "project", "a")
    (folder / "references").mkdir()
    (tmp_path / "project" / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "project" / "secret")
    with pytest.raises(SkillProblem, match="has no file"):
        library.enabled(["a"])[0].read(path)


async def test_a_model_loads_only_the_skills_of_its_agent(
    library: SkillLibrary, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write(tmp_path / "project", name)
    context = ToolContext(skills=library.enabled(["a"]))
    tools = {each.name: each for each in skill_tools()}

    async def call(name: str, arguments: str) -> Result:
        return await run(tools[name], ToolCall(id="c", name=name, arguments=arguments), context)

    assert "Do it." in (await call("load_skill", '{"name": "a"}')).output
    refused = await call("load_skill", '{"name": "b"}')
    assert (refused.status, refused.output) == ("error", "There is no skill “b”; there are: a.")
    missing = await call("read_skill_file", '{"name": "a", "path": "../b/SKILL.md"}')
    assert "has no file" in missing.output


def test_the_shipped_skills_can_be_used() -> None:
    library = SkillLibrary([SHIPPED])
    assert problems(library) == {}
    shipped = library.enabled(["weekly-review", "explain-simply"])
    assert [skill.name for skill in shipped] == ["explain-simply", "weekly-review"]
    assert shipped[1].files() == ["references/prompts.md"]
    assert all(len(skill.description) <= 1024 for skill in shipped)
