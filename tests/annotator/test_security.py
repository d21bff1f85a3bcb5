"""Who may ask, from where and how much."""

import json
import socket

import pytest
from annotator.served import Serve
from batch_scenes import SameGrey

from vfm_isrefiner.annotator.server import bound, check_host, hosts_of, is_loopback

TOKEN = "a-token-of-some-length"
GET = ("GET", "/api/scenes")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """One server for all tests that leave it as it was."""
    serve = Serve(tmp_path_factory.mktemp("guarded"), SameGrey())
    yield serve()
    serve.stop()


def told(answer):
    """Status and sentence."""
    status, headers, content = answer
    assert headers["content-type"] == "application/json"
    return status, json.loads(content)["detail"]


def test_every_answer_is_guarded(client):
    for path in ("/", "/api/scenes", "/nothing", "/api/scenes/0/tiles/0/0/0.png"):
        _, headers, _ = client.raw("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    status, _ = told(client.raw("GET", "/api/scenes", headers={"Host": "evil.example"}))
    assert status == 400


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "127.0.0.1@evil", "a b"]
)
def test_another_name_is_refused(client, host):
    status, detail = told(client.raw(*GET, headers={"Host": host}))
    assert (status, "Host header" in detail) == (400, True)


def test_own_names_are_taken(client):
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:5"):
        assert client.raw(*GET, headers={"Host": host})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://", "file://"])
def test_another_page_is_refused(client, origin):
    status, detail = told(client.raw(*GET, headers={"Origin": origin}))
    assert (status, "Origin" in detail) == (400, True)
    assert client.raw(*GET, headers={"Origin": f"http://127.0.0.1:{client.port}"})[0] == 200


def test_a_form_of_another_page_cannot_click(client):
    ann = client.begin()
    path, body = f"/api/sessions/{ann.key}/click", json.dumps({"x": 8, "y": 6})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.raw("POST", path, body, {"Content-Type": kind})[0] == 422
    assert client.get(f"/api/sessions/{ann.key}")["clicks"] == []


def test_a_token_is_needed(serve):
    client = serve(token=TOKEN)
    assert client.get("/api/scenes")
    client.headers = {}
    assert json.loads(client.raw("GET", "/health")[2]) == {"status": "ok"}
    for path in ("/", "/api/scenes", "/api/openapi.json", "/main.js", "/nothing"):
        status, detail = told(client.raw("GET", path))
        assert (status, "token" in detail) == (401, True)
    for words in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xff\xfe"):
        assert client.raw(*GET, headers={"Authorization": words.encode("latin-1")})[0] == 401
    assert client.raw(*GET, headers={"Authorization": f"bearer {TOKEN}"})[0] == 200


def test_the_link_becomes_a_cookie(serve):
    client = serve(token=TOKEN)
    client.headers = {}
    assert client.raw("GET", "/?token=wrong")[0] == 401
    status, headers, _ = client.raw("GET", f"/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "./")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert client.raw(*GET, headers={"Cookie": f"other=1; {pair}"})[0] == 200
    name = pair.partition("=")[0]
    for wrong in (f"{pair}x", f"{name}={TOKEN}", f"{name}=", name, "=;;,", '"\xff'):
        assert client.raw(*GET, headers={"Cookie": wrong.encode("latin-1")})[0] == 401


def test_bodies_are_bounded(client):
    ann = client.begin()
    path = f"/api/sessions/{ann.key}/accept"
    large = json.dumps({"label": "x" * 70_000})
    assert told(client.raw("POST", path, large, {"Content-Type": "application/json"}))[0] == 413
    chunks = (b" " * 10_000 for _ in range(8))
    assert told(client.raw("POST", path, chunks, {"Content-Type": "application/json"}))[0] == 413
    client.close()
    for length in ("-1", "x", "9" * 30):
        assert raw(client.port, f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n") in (400, 413)
    assert client.get("/health")["status"] == "ok"


def raw(port, text):
    """Status of the answer to these bytes; 0 where the connection ends without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(text.encode("latin-1"))
        answer = one.recv(2000)
        assert b"Traceback" not in answer
        return int(answer.split()[1]) if answer else 0


def test_what_is_no_http(client):
    for text in (
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        "GET / HTTP/9\r\nHost: localhost\r\n\r\n",
        "\x00\x01\x02\r\n\r\n",
        f"GET /{'a' * 40_000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX: {'a' * 70_000}\r\n\r\n",
        "POST /api/scenes/0/sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        assert raw(client.port, text) < 500
    assert client.get("/health")["status"] == "ok"


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/app.py",
        "/..%2fapp.py",
        "/vendor/../../app.py",
        "//etc/passwd",
        "/%00",
        "/C:/windows/win.ini",
        "/api/scenes/..%2f..%2fetc%2fpasswd/tiles/0/0/0.png",
        "/api/scenes/0/tiles/0/0/..%2f..%2f0.png",
        "/api/scenes/%2fetc%2fpasswd",
        "/api/scenes/0/export?format=../../x",
        "/api/sessions/..%2f..%2fx",
    ],
)
def test_no_path_leads_out(client, path):
    status, _, content = client.raw("GET", path)
    assert status in (400, 404, 422)
    assert b"Traceback" not in content
    assert b"root:" not in content


def test_addresses():
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org")))
    for host, token in (("127.0.0.1", None), ("::1", None), ("0.0.0.0", TOKEN)):
        check_host(host, token)
    with pytest.raises(ValueError, match="needs a token"):
        check_host("0.0.0.0", None)
    with pytest.raises(ValueError, match="--allowed-host map"):
        check_host("127.0.0.1", None, ["map.example.org"])
    with pytest.raises(ValueError, match="at least 12"):
        check_host("127.0.0.1", "short")
    assert hosts_of("127.0.0.1", ["map.example.org"]) == ["127.0.0.1", "localhost", "::1", "map.example.org"]
    assert "10.1.2.3" in hosts_of("10.1.2.3")
    with bound("127.0.0.1", None) as first, bound("127.0.0.1", None) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
    assert socket.gethostname() in hosts_of("0.0.0.0")


def test_addresses_are_no_names_that_another_page_could_have(serve):
    """A server on all addresses may not know them; only names can be pointed at it from elsewhere."""
    client = serve(token=TOKEN, hosts=hosts_of("0.0.0.0"))
    for host in ("192.168.77.77:8000", "[fd00::7]:8000", "10.0.0.9"):
        assert client.raw(*GET, headers={"Host": host})[0] == 200
    for host in ("evil.example", "192.168.77.77.evil.example", "*", "3232255821"):
        status, detail = told(client.raw(*GET, headers={"Host": host}))
        assert (status, "--allowed-host" in detail) == (400, True)
    client = serve(token=TOKEN, hosts=hosts_of("127.0.0.1"))
    assert client.raw(*GET, headers={"Host": "192.168.77.77"})[0] == 400


def test_a_body_that_does_not_end_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr("vfm_isrefiner.annotator.security.BODY_SECONDS", 0.2)
    assert raw(client.port, "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{") == 408
    assert client.get("/health")["status"] == "ok"
