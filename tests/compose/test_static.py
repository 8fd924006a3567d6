"""The compose file, its images and configurations hold together; no engine is needed to see it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_house import PROFILES, ROOT, missing
from parley_agent_worker.settings import WorkerSettings
from parley_bus.runtime import ServiceSettings
from parley_bus.server_config import MAX_PAYLOAD, PING, PINGS
from parley_gateway.settings import GatewaySettings
from parley_launcher.folder import DataFolder
from parley_launcher.house import GATEWAY, WORKER, House
from parley_launcher.options import up_options
from parley_web.settings import WebSettings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"credentials", "scale-credentials"}
LASTING = sorted(SERVICES.keys() - ONE_SHOTS)
SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "agent-worker": WorkerSettings,
    "web": WebSettings,
}
OTHERS_READ = {"PARLEY_SETTINGS", "PARLEY_HEALTH_FILE", "PARLEY_LOG_LEVEL", "PGPASSFILE"}
"""Variables that the runtime or a library reads, not a service's settings."""
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("profile", ["", *PROFILES])
def test_compose_accepts_the_file(profile: str, tmp_path: Path) -> None:
    if reason := missing(engine=False):
        if os.environ.get("CI"):
            pytest.fail(f"no Compose: {reason}")
        pytest.skip(f"no Compose: {reason}")
    nothing = tmp_path / ".env"
    nothing.touch()
    command = ["docker", "compose", "--env-file", str(nothing), "--profile", profile, "config"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    shown = set(yaml.safe_load(answer.stdout)["services"])
    assert shown == {name for name, each in SERVICES.items() if _profile(each) in ("", profile)}


def _profile(service: dict[str, Any]) -> str:
    return "".join(service.get("profiles", []))


def test_there_are_these_profiles() -> None:
    assert {_profile(each) for each in SERVICES.values()} == {"", *PROFILES}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_is_closed_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert "privileged" not in service


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_read_only_and_started_again(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOTS))
def test_what_makes_the_credentials_has_no_network(name: str) -> None:
    assert SERVICES[name]["network_mode"] == "none"


@pytest.mark.parametrize("name", [each for each in LASTING if _profile(SERVICES[each]) != "debug"])
def test_others_wait_for_health(name: str) -> None:
    assert "healthcheck" in SERVICES[name] or SERVICES[name]["image"].startswith("ghcr.io/")
    for wanted, how in SERVICES[name].get("depends_on", {}).items():
        ended = how["condition"] == "service_completed_successfully"
        assert ended == (wanted in ONE_SHOTS)
        # A profile's service is waited for only where the profile is active.
        assert how.get("required", True) or _profile(SERVICES[wanted]) == "scale"


def test_only_the_page_is_published_and_only_on_loopback() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if each.get("ports")}
    assert published == {
        "web": ["${PARLEY_HOST:-127.0.0.1}:${PARLEY_WEB_PORT:-4000}:4000"],
        "entrance": ["${PARLEY_HOST:-127.0.0.1}:${PARLEY_ENTRANCE_PORT:-4080}:4000"],
    }


def test_ports_and_defaults_are_the_launchers() -> None:
    options = up_options([], {})
    assert (options.host, options.web_port) == ("127.0.0.1", 4000)
    worker = SERVICES["agent-worker"]["environment"]
    assert worker["PARLEY_GRACE"] == str(options.grace)
    assert worker["PARLEY_TURNS_PER_WORKER"] == (
        f"${{PARLEY_TURNS_PER_WORKER:-{options.turns_per_worker}}}"
    )


def test_the_engine_waits_longer_than_the_services_need_to_stop(tmp_path: Path) -> None:
    house = House(up_options([], {}), DataFolder(tmp_path), {})
    for program in house.programs(4000, (tmp_path, 4222)):
        grace = SERVICES[program.service]["stop_grace_period"]
        assert int(grace.removesuffix("s")) > program.grace


@pytest.mark.parametrize("name", SETTINGS)
def test_each_variable_is_read_by_its_service(name: str) -> None:
    known = _variables(SETTINGS[name]) | OTHERS_READ
    assert set(SERVICES[name]["environment"]) <= known
    assert set(_given(f"{name}-settings")) <= known


def test_a_service_can_be_told_what_the_launcher_tells_it() -> None:
    assert _all_variables("gateway") >= _explicit(GATEWAY, GatewaySettings)
    assert _all_variables("agent-worker") >= _explicit(WORKER, WorkerSettings)


def _explicit(patterns: tuple[str, ...], settings: type[ServiceSettings]) -> set[str]:
    """Return the service's own variables among those that the launcher passes on."""
    matcher = re.compile("|".join(each.replace("*", ".*") for each in patterns))
    return {name for name in _variables(settings) if matcher.fullmatch(name)}


def _all_variables(service: str) -> set[str]:
    return {*SERVICES[service]["environment"], *_given(f"{service}-settings")}


def _variables(settings: type[ServiceSettings]) -> set[str]:
    return {str(each.validation_alias) for each in settings.model_fields.values()}


def _given(config: str) -> list[str]:
    content = COMPOSE["configs"].get(config, {"content": ""})["content"]
    return [line.partition("=")[0] for line in content.splitlines()]


def test_secrets_are_in_no_environment() -> None:
    secret = re.compile(r"KEY|TOKEN\b|PASSWORD|DATABASE_URL|NATS_URL")
    for name, service in SERVICES.items():
        assert not [each for each in service.get("environment", {}) if secret.search(each)], name


def test_env_example_names_every_variable() -> None:
    read = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    told = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read <= told


def test_each_container_mounts_only_its_own_credential() -> None:
    owners: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for volume in _sources(service):
            if volume.endswith("-credentials") and name not in ONE_SHOTS:
                owners.setdefault(volume.removesuffix("-credentials"), set()).add(name)
    assert owners == {
        "nats": {"nats", "nats-2", "nats-3"},
        "gateway": {"gateway", "gateway-2"},
        "agent-worker": {"agent-worker", "more-agent-workers"},
        "web": {"web", "web-2"},
        "postgres": {"postgres"},
        "owner": {"nats-box"},
    }


def _sources(service: dict[str, Any]) -> list[str]:
    return [volume.split(":")[0] for volume in service.get("volumes", [])]


def test_every_volume_and_config_is_defined_and_used() -> None:
    sources = {each for service in SERVICES.values() for each in _sources(service)}
    assert {each for each in sources if each[0] not in "./$"} == set(COMPOSE["volumes"])
    configs = {
        each["source"] for service in SERVICES.values() for each in service.get("configs", [])
    }
    assert configs == set(COMPOSE["configs"])


def test_every_path_exists() -> None:
    mounted = {each for service in SERVICES.values() for each in _sources(service)}
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    paths = [each for each in mounted if each.startswith("./")]
    assert [each for each in [*paths, *copied] if not (ROOT / each).exists()] == []


def test_every_target_exists() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    built = {each["build"]["target"] for each in SERVICES.values() if "build" in each}
    assert built == {"credentials", "gateway", "agent-worker", "web", "entrance"}
    assert built <= stages


def test_every_command_exists() -> None:
    modules = re.findall(r'^CMD .*"-m", "(\S+?)"', DOCKERFILE, re.MULTILINE)
    modules += re.findall(r"-m (\S+)", SERVICES["scale-credentials"]["command"])
    assert len(modules) == len(SETTINGS) + len(ONE_SHOTS)
    for module in modules:
        named = importlib.util.find_spec(module)
        assert named and (not named.submodule_search_locations or _has_main(module))


def _has_main(package: str) -> bool:
    return importlib.util.find_spec(f"{package}.__main__") is not None


def test_nats_conf_agrees_with_the_embedded_servers() -> None:
    text = (ROOT / "deploy" / "nats.conf").read_text()
    written = dict(re.findall(r'^(\w+): "?([^"\n]+?)"?$', text, re.MULTILINE))
    assert written["max_payload"] == f"{MAX_PAYLOAD // 1024**2}MB"
    assert (written["ping_interval"], int(written["ping_max"])) == (
        PING,
        PINGS,
    )


def test_models_are_looked_for_where_they_are_mounted() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "llama-swap.yaml").read_text())
    assert SERVICES["llama-swap"]["volumes"][1].endswith(":/models:ro,z")
    assert all("--model /models/" in each["cmd"] for each in config["models"].values())


def test_haproxy_knows_both_webs() -> None:
    text = (ROOT / "deploy" / "haproxy.cfg").read_text()
    for backend in re.split(r"^backend ", text, flags=re.MULTILINE)[1:]:
        assert re.findall(r"^    server (\S+) \1:4000", backend, re.MULTILINE) == ["web", "web-2"]


def _images() -> Iterator[str]:
    yield from re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE)
    yield from (each["image"] for each in SERVICES.values() if "image" in each)


def test_images_have_a_version() -> None:
    assert [each for each in _images() if ":" not in each or each.endswith(":latest")] == []
