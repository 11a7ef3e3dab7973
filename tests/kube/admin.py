"""The tests' own way to the API server: plain calls that wait, with a user's token."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.kube.network import Network

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Refused(Exception):  # noqa: N818 - what it is
    """The API server's answer was no."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Admin:
    """A user of the API server at *address* in *network*; any thread may call."""

    network: Network
    address: str
    ca: Path
    token: str
    port: int = 443

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kind: str = JSON,
        **query: str,
    ) -> dict[str, Any]:
        """Do one request and return the answer's object, or raise Refused."""
        context = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(
            self.address, self.port, timeout=30, context=context
        )
        headers: Mapping[str, str] = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": kind,
            "Accept": JSON,
        }
        data = None if body is None else json.dumps(body)
        where = f"{path}?{urlencode(query)}" if query else path
        try:
            with self.network.inside():
                connection.connect()
            connection.request(method, where, data, dict(headers))
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, text.strip())
        return dict(json.loads(text)) if text.startswith("{") else {"text": text}

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self.call("GET", path, **query)

    def create(self, path: str, body: object) -> dict[str, Any]:
        return self.call("POST", path, body)

    def replace(self, path: str, body: object) -> dict[str, Any]:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: object, kind: str = MERGE) -> dict[str, Any]:
        return self.call("PATCH", path, body, kind)

    def apply(self, path: str, body: object) -> dict[str, Any]:
        """Apply *body* on the server, taking over the fields that others own."""
        query = {"fieldManager": "tests", "force": "true"}
        return self.call("PATCH", path, body, APPLY, **query)

    def delete(self, path: str, **options: Any) -> dict[str, Any]:
        return self.call("DELETE", path, options or None)
