"""Options of the commands. Each has a twin in the environment, named in its help."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from parley_launcher.errors import Trouble
from parley_launcher.install import ROOT

_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class UpOptions:
    """What `./parley up` was asked for. Port 0 means any free one."""

    data: Path
    host: str
    web_port: int
    admin_port: int
    nats_port: int
    workers: int
    turns_per_worker: int
    grace: int
    no_admin: bool
    no_telegram: bool


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one sentence and knows the environment's twins."""

    def __init__(self, command: str, description: str, environment: Mapping[str, str]) -> None:
        super().__init__(prog=f"./parley {command}", description=description, allow_abbrev=False)
        self._environment = environment

    def option(self, flag: str, default: Any, kind: Callable[[str], Any], meaning: str) -> None:
        """Add an option with a value; its twin's text is checked by `kind` just the same."""
        twin = _twin(flag)
        self.add_argument(
            flag,
            type=_telling(kind, twin),
            default=self._environment.get(twin, default),
            metavar=kind.__name__.upper(),
            help=f"{meaning} (default {default}; {twin})",
        )

    def switch(self, flag: str, meaning: str) -> None:
        """Add an option that is on when it is given, or its twin is 1."""
        twin = _twin(flag)
        told = self._environment.get(twin, "0").lower()
        if told not in (*_ON, *_OFF):
            self.error(f"{twin} is '{told}'; set it to 1 or 0")
        default = told in _ON
        self.add_argument(flag, action="store_true", default=default, help=f"{meaning} ({twin})")

    def data_option(self) -> None:
        """Add `--data`, which all commands share."""
        self.option("--data", ROOT / "data", folder, "the data folder")

    def error(self, message: str) -> NoReturn:
        """Raise Trouble in place of argparse's two lines and exit."""
        raise Trouble(f"{message} ('{self.prog} --help' lists the options)")


def up_options(arguments: list[str], environment: Mapping[str, str]) -> UpOptions:
    """Return the options of `up`. Raises Trouble."""
    parser = Parser("up", "Start everything in the foreground; Ctrl-C stops it.", environment)
    parser.data_option()
    parser.option("--host", "127.0.0.1", host, "the address that the page listens on")
    parser.option("--web-port", 4000, port, "the page's port")
    parser.option("--admin-port", 4001, port, "the port of the administration page")
    parser.option("--nats-port", 4222, port, "the port of the embedded NATS server")
    parser.option("--workers", 1, count, "how many processes run turns")
    parser.option("--turns-per-worker", 64, count, "how many turns each of them runs at once")
    parser.option("--grace", 20, count, "seconds that running turns may go on after Ctrl-C")
    parser.switch("--no-admin", "leave the administration page out")
    parser.switch("--no-telegram", "leave Telegram out")
    return UpOptions(**vars(parser.parse_args(arguments)))


def folder(text: str) -> Path:
    """Return the absolute path of a folder."""
    return Path(text).expanduser().absolute()


def host(text: str) -> str:
    """Return a host name or address as it is."""
    return text


def port(text: str) -> int:
    """Return a port; 0 means any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(f"'{text}' is not a port; give a number from 0 to 65535")
    return int(text)


def count(text: str) -> int:
    """Return a number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"'{text}' is not a count; give a number from 1 on")
    return int(text)


def _twin(flag: str) -> str:
    return "PARLEY_" + flag.removeprefix("--").replace("-", "_").upper()


def _telling(kind: Callable[[str], Any], twin: str) -> Callable[[str], Any]:
    """Return `kind` with its complaint named as argparse wants it, and with the twin in it."""

    def checked(text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error} (also read from {twin})") from error

    return checked
