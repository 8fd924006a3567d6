"""A credential for each service, in files of the `nats` command's own format."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from parley_contracts.permissions import SERVICES
from parley_launcher.broker import configure_embedded, context_file, use_existing
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A made data folder."""
    made = DataFolder(tmp_path / "data")
    made.make()
    return made


def contexts(folder: DataFolder) -> dict[str, dict[str, Any]]:
    return {each: json.loads(context_file(folder, each).read_text()) for each in SERVICES}


def test_each_service_has_a_password_and_an_inbox_of_its_own(folder: DataFolder) -> None:
    configure_embedded(folder, 4333)
    found = contexts(folder)
    assert {each["url"] for each in found.values()} == {"nats://127.0.0.1:4333"}
    assert [each["user"] for each in found.values()] == list(SERVICES)
    assert len({each["password"] for each in found.values()}) == len(SERVICES)
    assert found["web"]["inbox_prefix"] == "_INBOX.web"


def test_secrets_are_readable_by_the_owner_only(folder: DataFolder) -> None:
    configure_embedded(folder, 4333)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in folder.nats.iterdir()}
    assert modes == {0o600}


def test_passwords_stay_over_a_restart_on_another_port(folder: DataFolder) -> None:
    configure_embedded(folder, 4333)
    before = contexts(folder)
    configure_embedded(folder, 4444)
    assert {name: each["password"] for name, each in before.items()} == {
        name: each["password"] for name, each in contexts(folder).items()
    }


def test_a_broken_context_file_is_made_anew(folder: DataFolder) -> None:
    context_file(folder, "web").write_text("{")
    configure_embedded(folder, 4333)
    assert len(contexts(folder)["web"]["password"]) >= 32


def test_an_existing_server_is_used_with_the_credentials_in_its_url(folder: DataFolder) -> None:
    use_existing(folder, {"NATS_URL": "nats://me:secret@127.0.0.1:4333"})
    found = contexts(folder)
    assert {each["url"] for each in found.values()} == {"nats://me:secret@127.0.0.1:4333"}
    assert not any("user" in each for each in found.values())


def test_an_existing_server_is_used_with_given_context_files(
    folder: DataFolder, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    for each in SERVICES:
        (given / f"{each}.json").write_text(json.dumps({"user": f"u-{each}", "password": "p"}))
    variables = {"NATS_URL": "nats://127.0.0.1:4333", "PARLEY_NATS_CONTEXT": str(given)}
    use_existing(folder, variables)
    assert contexts(folder)["web"]["user"] == "u-web"
    assert contexts(folder)["web"]["url"] == "nats://127.0.0.1:4333"


@pytest.mark.parametrize("url", ["http://x", "nats://", "nats://h:port", "nats://a:1,ftp://b"])
def test_an_address_that_is_none_of_nats_is_said(folder: DataFolder, url: str) -> None:
    with pytest.raises(Trouble, match="NATS_URL is wrong: write it as nats://HOST:PORT"):
        use_existing(folder, {"NATS_URL": url})


def test_a_missing_given_context_is_named(folder: DataFolder, tmp_path: Path) -> None:
    variables = {"NATS_URL": "nats://127.0.0.1:4333", "PARLEY_NATS_CONTEXT": str(tmp_path)}
    with pytest.raises(Trouble, match=r"gateway\.json cannot be read.*PARLEY_NATS_CONTEXT"):
        use_existing(folder, variables)


def test_an_embedded_start_after_an_existing_server_makes_credentials(folder: DataFolder) -> None:
    use_existing(folder, {"NATS_URL": "nats://127.0.0.1:4333"})
    configure_embedded(folder, 4333)
    assert contexts(folder)["web"]["user"] == "web"
