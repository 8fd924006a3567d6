"""What runs in which order, and what each part gets to know."""

from __future__ import annotations

from pathlib import Path

from parley_launcher.folder import DataFolder
from parley_launcher.house import House, Program
from parley_launcher.options import up_options

SECRETS = {
    "OPENAI_API_KEY": "sk-1",
    "LOCAL_BASE_URL": "http://127.0.0.1:1/v1",
    "ANTHROPIC_API_KEY": "sk-2",
    "OPENROUTER_API_KEY": "sk-3",
    "DATABASE_URL": "postgresql+psycopg://u:p@h/d",
    "PARLEY_ACCESS_TOKEN": "token",
    "TELEGRAM_BOT_TOKEN": "bot",
    "UNRELATED_PASSWORD": "x",
    "PATH": "/usr/bin",
}


def programs(tmp_path: Path, *arguments: str, **variables: str) -> dict[str, Program]:
    options = up_options(["--data", str(tmp_path), *arguments], {})
    house = House(options, DataFolder(options.data), {**SECRETS, **variables})
    found = house.programs(4000, (tmp_path / "nats.conf", 4222))
    return {each.service: each for each in found}


def test_the_broker_starts_first_and_the_door_opens_last(tmp_path: Path) -> None:
    assert list(programs(tmp_path)) == ["nats", "gateway", "agent-worker", "web"]


def test_provider_keys_reach_workers_only(tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY", "LOCAL_BASE_URL", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"}
    for name, each in programs(tmp_path).items():
        assert keys & set(each.environment) == (keys if name == "agent-worker" else set())


def test_the_database_and_the_token_reach_the_gateway_only(tmp_path: Path) -> None:
    own = {"DATABASE_URL", "PARLEY_ACCESS_TOKEN"}
    for name, each in programs(tmp_path).items():
        assert own & set(each.environment) == (own if name == "gateway" else set())


def test_no_service_sees_what_is_none_of_its_business(tmp_path: Path) -> None:
    for each in programs(tmp_path).values():
        assert not {"UNRELATED_PASSWORD", "TELEGRAM_BOT_TOKEN"} & set(each.environment)


def test_each_service_has_its_own_credential(tmp_path: Path) -> None:
    found = programs(tmp_path)
    for name in ("gateway", "agent-worker", "web"):
        file = str(tmp_path / "nats" / f"{name}.json")
        assert found[name].environment["PARLEY_NATS_CONTEXT"] == file


def test_the_options_reach_the_services(tmp_path: Path) -> None:
    arguments = ("--host", "::1", "--workers", "3", "--turns-per-worker", "7", "--grace", "9")
    found = programs(tmp_path, *arguments)
    assert found["web"].environment["PARLEY_HOST"] == "::1"
    assert found["web"].environment["PARLEY_WEB_PORT"] == "4000"
    assert found["agent-worker"].copies == 3
    assert found["agent-worker"].environment["PARLEY_TURNS_PER_WORKER"] == "7"
    assert found["agent-worker"].environment["PARLEY_GRACE"] == "9"
    assert found["agent-worker"].grace > 9
    assert found["gateway"].environment["PARLEY_DATA"] == str(tmp_path)


def test_skills_are_those_of_the_root_unless_told_otherwise(tmp_path: Path) -> None:
    usual = programs(tmp_path)["agent-worker"].environment["PARLEY_SKILLS"]
    assert usual.endswith(".agents/skills")
    other = programs(tmp_path, PARLEY_SKILLS="/mine")["agent-worker"]
    assert other.environment["PARLEY_SKILLS"] == "/mine"
