"""The annotator behind a reverse proxy with TLS, under a prefix, as docs/deploy.md has it."""

import http.client
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from annotator.client import Client

TOKEN, NAME, PREFIX = "a-token-of-some-length", "annotate.example.org", "/north"
PASSED_ON = ("host", "cookie", "authorization", "content-type", "origin")


@contextmanager
def proxied(port):
    """The port of a proxy that takes off the prefix, and says that TLS ended there."""

    class Proxy(BaseHTTPRequestHandler):
        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
            inner = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            more = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
            inner.request(self.command, self.path.removeprefix(PREFIX), body, headers | more)
            found = inner.getresponse()
            content = found.read()
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in ("content-length", "date", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            inner.close()

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def outside(serve):
    inner = serve(token=TOKEN, hosts=["127.0.0.1", NAME])
    with proxied(inner.port) as port:
        client = Client(port)
        client.headers = {"Host": NAME}
        yield client
        client.close()


def test_the_whole_way(outside):
    assert outside.raw("GET", f"{PREFIX}/")[0] == 401
    status, headers, _ = outside.raw("GET", f"{PREFIX}/?token={TOKEN}")
    assert (status, headers["location"]) == (303, "./")
    cookie = headers["set-cookie"]
    assert cookie.endswith("; Secure")
    outside.headers |= {"Cookie": cookie.partition(";")[0], "Origin": f"https://{NAME}"}
    page = outside.raw("GET", f"{PREFIX}/")[2]
    assert b"<html" in page
    assert b'src="/' not in page  # addresses of the page are relative: they keep the prefix
    assert b'href="/' not in page
    path = f"{PREFIX}/api/scenes/0/sessions"
    state = json.loads(outside.raw("POST", path, '{"author": "Ada"}', {"Content-Type": "application/json"})[2])
    clicked = outside.raw(
        "POST", f"{PREFIX}/api/sessions/{state['session']}/click", '{"x": 8, "y": 6}', {"Content-Type": "application/json"}
    )
    assert json.loads(clicked[2])["polygon"]
    assert outside.raw("GET", f"{PREFIX}/api/scenes/0/tiles/0/0/0.png")[0] == 200


def test_a_name_that_was_not_allowed(outside):
    outside.headers = {"Host": "other.example.org", "Authorization": f"Bearer {TOKEN}"}
    assert outside.raw("GET", f"{PREFIX}/api/scenes")[0] == 400


def test_health_needs_no_token(outside):
    assert json.loads(outside.raw("GET", f"{PREFIX}/health")[2]) == {"status": "ok"}
