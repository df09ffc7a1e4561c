"""Where keys are off, the service is for this machine: not for whatever page its browser has open.

A page of another origin may send forms without asking (cross-site request forgery), and one whose name is made to
point to this machine may even read the answers (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from songbloom.serve.errors import Forbidden
from songbloom.serve.settings import LOOPBACK, ServeSettings

_READING = ("GET", "HEAD", "OPTIONS")


class Origins:
    """Which pages may use a service without keys: its own, and those of ``--cors-origins``."""

    def __init__(self, settings: ServeSettings) -> None:
        self._allowed = set(settings.origins)
        self._names = {_name(origin.partition("://")[2]) for origin in settings.origins}
        self._local = settings.host in LOOPBACK and "*" not in self._allowed

    def check(self, request: Request) -> None:
        """Raises Forbidden."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        name = _name(host)
        if self._local and not (_is_here(name) or name in self._names):
            raise Forbidden(f"This server is not called {name!r}; if it is, name its origin in --cors-origins.")
        if request.method in _READING or origin is None or {origin, "*"} & self._allowed:
            return
        guess = "same-origin" if origin.partition("://")[2] == host else "cross-site"
        site = request.headers.get("sec-fetch-site") or guess  # the browser's own word holds also behind a proxy
        if site not in ("same-origin", "none"):
            raise Forbidden(f"Pages of {origin} may not do this; name them in --cors-origins.")


def _name(host: str) -> str:
    """The name of a Host header; whole where it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host


def _is_here(name: str) -> bool:
    """Addresses are not names that another could point here; programs may send no name at all."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in ("", "localhost") or name.endswith(".localhost")
    return True
