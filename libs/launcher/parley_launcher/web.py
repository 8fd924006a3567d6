"""The owner's program at the house's HTTP API: what is too large for one message goes this way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder

TIMEOUT_S = 300.0
_REFUSED = 400


class Web:
    """Calls with the access token. All raise Trouble with the sentence of what was refused.

    None goes through a proxy: the token is for the page alone.
    """

    def __init__(self, folder: DataFolder, *, timeout: float = TIMEOUT_S) -> None:
        self._timeout = timeout
        self._address = urlsplit(folder.running()["url"]).netloc
        given = environment().get("PARLEY_ACCESS_TOKEN")
        self.token = given or folder.token.read_text(encoding="utf-8").strip()

    def read(self, path: str) -> Any:
        """Return the answer's JSON."""
        with self._call("GET", path) as answer:
            return json.load(answer)

    def download(self, path: str, into: IO[bytes]) -> None:
        """Write the answer's body into a file."""
        with self._call("GET", path) as answer:
            shutil.copyfileobj(answer, into)

    def upload(self, path: str, file: Path) -> Any:
        """Post a file of JSON; return the answer."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(file.stat().st_size),
        }
        with file.open("rb") as body, self._call("POST", path, body, headers) as answer:
            return json.load(answer)

    @contextmanager
    def _call(
        self,
        method: str,
        path: str,
        body: IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        with closing(HTTPConnection(self._address, timeout=self._timeout)) as connection:
            try:
                connection.connect()
            except OSError as error:
                raise Trouble(f"the page does not answer: {error.strerror or error}") from error
            try:
                # A refusal may come before all is sent; then it is there to be read.
                with suppress(BrokenPipeError, ConnectionResetError):
                    signed = {**(headers or {}), "Authorization": f"Bearer {self.token}"}
                    connection.request(method, path, body, signed)
                answer = connection.getresponse()
                if answer.status >= _REFUSED:
                    raise Trouble(str(json.load(answer)["detail"]).removesuffix("."))
                yield answer
            except TimeoutError as error:
                raise Trouble(
                    f"the page has said nothing for {self._timeout:g} s; try again later"
                ) from error
            except (HTTPException, ConnectionError) as error:
                raise Trouble("the page was stopped meanwhile; try again") from error
