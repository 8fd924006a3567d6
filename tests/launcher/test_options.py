"""Options of `up`, their twins in the environment, and their complaints."""

from __future__ import annotations

from pathlib import Path

import pytest
from parley_launcher.errors import Trouble
from parley_launcher.install import ROOT
from parley_launcher.options import up_options


def test_the_defaults_are_those_of_the_interfaces_page() -> None:
    options = up_options([], {})
    assert options.data == ROOT / "data"
    assert (options.host, options.web_port) == ("127.0.0.1", 4000)
    assert (options.admin_port, options.nats_port) == (4001, 4222)
    assert (options.workers, options.turns_per_worker) == (1, 64)
    assert (options.no_admin, options.no_telegram) == (False, False)


def test_every_option_has_a_twin() -> None:
    twins = {
        "PARLEY_DATA": "/d",
        "PARLEY_HOST": "0.0.0.0",
        "PARLEY_WEB_PORT": "1",
        "PARLEY_ADMIN_PORT": "2",
        "PARLEY_NATS_PORT": "3",
        "PARLEY_WORKERS": "4",
        "PARLEY_TURNS_PER_WORKER": "5",
        "PARLEY_GRACE": "6",
        "PARLEY_NO_ADMIN": "1",
        "PARLEY_NO_TELEGRAM": "1",
    }
    options = up_options([], twins)
    assert vars(options) == {
        "data": Path("/d"),
        "host": "0.0.0.0",
        "web_port": 1,
        "admin_port": 2,
        "nats_port": 3,
        "workers": 4,
        "turns_per_worker": 5,
        "grace": 6,
        "no_admin": True,
        "no_telegram": True,
    }


def test_an_option_wins_over_its_twin() -> None:
    assert up_options(["--workers", "3"], {"PARLEY_WORKERS": "2"}).workers == 3


def test_a_relative_data_folder_is_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert up_options(["--data", "here"], {}).data == tmp_path / "here"


@pytest.mark.parametrize(
    ("arguments", "variables", "sentence"),
    [
        (["--web-port", "abc"], {}, "'abc' is not a port.*PARLEY_WEB_PORT"),
        (["--web-port", "65536"], {}, "'65536' is not a port"),
        ([], {"PARLEY_NATS_PORT": "-1"}, "--nats-port: '-1' is not a port.*PARLEY_NATS_PORT"),
        (["--workers", "0"], {}, "'0' is not a count; give a number from 1 on"),
        ([], {"PARLEY_NO_ADMIN": "maybe"}, "PARLEY_NO_ADMIN is 'maybe'; set it to 1 or 0"),
        (["--workers", "1.5"], {}, "'1.5' is not a count"),
        (["--prot", "1"], {}, "unrecognized arguments: --prot.*up --help"),
    ],
)
def test_a_wrong_option_is_named(
    arguments: list[str], variables: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Trouble, match=sentence):
        up_options(arguments, variables)
