"""Without keys, pages of other origins may neither command the service nor read it."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from songbloom.serve.errors import Forbidden
from songbloom.serve.origins import Origins
from songbloom.serve.settings import ServeSettings

HERE = "localhost:8000"
PAGE = "https://songs.example"


def _check(method="POST", *, server="127.0.0.1", cors="", **headers):
    names = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    request = Request({"type": "http", "method": method, "path": "/", "headers": list(names.items())})
    Origins(ServeSettings(host=server, cors_origins=cors)).check(request)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HERE},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
        {"host": "[::1]:8000", "origin": "http://[::1]:8000", "sec_fetch_site": "same-origin"},
        {"host": "192.168.0.7:8000"},  # an address is no name that another could point here
        {"host": "studio.localhost:8000"},
        {},
        {"host": HERE, "origin": "https://tunnel.example", "sec_fetch_site": "same-origin"},
        {"host": HERE, "origin": "https://songs.example", "sec_fetch_site": "cross-site", "cors": PAGE},
        {"host": "songs.example", "cors": PAGE},  # behind a proxy
        {"host": "anything", "origin": "https://evil.example", "cors": "*"},
        {"host": "studio.lan", "server": "0.0.0.0"},
        {"method": "GET", "host": HERE, "origin": "https://evil.example"},  # it cannot read the answer
    ],
)
def test_its_own_pages_and_programs_may(headers):
    _check(**headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HERE, "origin": "https://evil.example"},
        {"host": HERE, "origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"host": HERE, "origin": "http://localhost:3000", "sec_fetch_site": "same-site"},
        {"host": HERE, "origin": "null"},
        {"host": HERE, "origin": "http://["},
        {"method": "GET", "host": "evil.example:8000"},
        {"host": "evil.example", "origin": "http://evil.example", "sec_fetch_site": "same-origin"},
        {"host": "localhost.evil.example"},
        {"host": "["},
        {"host": "studio.lan", "server": "0.0.0.0", "origin": "https://evil.example"},
        {"host": HERE, "origin": "https://evil.example", "cors": PAGE},
    ],
)
def test_others_may_not(headers):
    with pytest.raises(Forbidden):
        _check(**headers)


def test_the_server_asks(server):
    refused = server.client.post("/unload-model", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403 and "--cors-origins" in refused.json()["detail"]
    assert server.client.get("/jobs", headers={"Host": "evil.example"}).status_code == 403
    assert server.client.post("/unload-model", headers={"Origin": server.url}).status_code == 202


def test_a_page_that_is_named_may_use_every_method_and_read_refusals(make_server):
    client = make_server(workers=0, auth="on", cors_origins=PAGE).client
    for method in ("GET", "POST", "PATCH", "DELETE"):
        asks = {"Origin": PAGE, "Access-Control-Request-Method": method}
        assert client.options("/library/x", headers=asks).status_code == 200, method
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    assert client.options("/jobs", headers=asks).status_code == 400
    refused = client.get("/jobs", headers={"Origin": PAGE})
    assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == PAGE
