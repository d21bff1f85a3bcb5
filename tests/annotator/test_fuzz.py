"""Requests made up from the API's own description, and hostile ones: never a fault of the server, never a trace."""

import json
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WORDS = (
    "\x00",
    "../" * 9,
    "%00",
    "𝔘",
    "'; DROP TABLE objects; --",
    "<script>",
    "a" * 3000,
    "\u202e",
    "null",
    "-1",
    "1e999",
    "\\",
)
EXAMPLES = 9  # of each operation, way and kind


@pytest.fixture
def known(serve):
    """A server with an accepted object and a session, and how to name them."""
    client = serve()
    ann = client.begin()
    one = ann.click(8, 6) and ann.accept("roof")
    return client, {"scene": "0", "session": ann.key, "number": one["id"], "z": 0, "x": 0, "y": 0}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of schemathesis, about deprecated parts of what it uses
def test_made_up_requests(known):
    client, names = known
    schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json"))
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.label.endswith("/close"):
            continue  # it would end the session that the others are asked with
        own = {one.name: names[one.name] for one in operation.path_parameters}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for fixed in ({"path_parameters": own}, {}) if own else ({},):
                asked |= asked_with(client, operation, mode, fixed)
    assert {200, 404, 409, 422} <= asked
    assert client.get("/health")["status"] == "ok"


def asked_with(client, operation, mode, fixed):
    """The statuses that came."""
    statuses = set()
    bounds = {"max_examples": EXAMPLES, "database": None, "deadline": None, "derandomize": True}

    @settings(**bounds, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode, **fixed))
    def ask(case):
        answer = case.call(base_url=f"http://127.0.0.1:{client.port}", allow_redirects=False)
        assert b"Traceback" not in answer.content
        case.validate_response(answer, checks=CHECKS)
        statuses.add(answer.status_code)

    try:
        ask()
    except Unsatisfiable:  # nothing of it can be wrong
        assert mode is GenerationMode.NEGATIVE
    return statuses


def test_hostile_words(known):
    client, names = known
    session = f"/api/sessions/{names['session']}"
    for word in WORDS:
        for method, path in (
            ("GET", f"/api/scenes/{quote(word, safe='')}"),
            ("GET", f"/api/scenes/0/tiles/{quote(word, safe='')}/0/0.png"),
            ("GET", f"/api/scenes/0/tiles/0/0/0.png?bands={quote(word)}&stretch={quote(word)}"),
            ("GET", f"/api/scenes/0/objects?since={quote(word)}"),
            ("DELETE", f"/api/scenes/0/objects/{names['number']}?version={quote(word)}"),
            ("GET", f"/api/sessions/{quote(word, safe='')}"),
            ("GET", f"/{quote(word)}"),
        ):
            status, _, content = client.raw(method, path)
            assert 400 <= status < 500 or (status == 200 and path == "/%20")
            assert b"Traceback" not in content
        for body in ({"label": word}, {"label": [word]}, {"x": word, "y": 1}, {"author": word, "resume": word}, [word], word):
            for path in (f"{session}/accept", f"{session}/click", f"{session}/edit", "/api/scenes/0/sessions"):
                status, _, content = client.raw("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                assert status < 500
                assert "detail" in json.loads(content) or status == 200


def test_hostile_bodies(known):
    client, names = known
    path = f"/api/sessions/{names['session']}/click"
    before = client.get(f"/api/sessions/{names['session']}")
    for body in (
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 20_000,
        b'{"x": 1e400, "y": 1}',
        b'{"x": NaN, "y": 1}',
        b'{"x": 1}',
        b"null",
        b"5",
        b'{"x": true, "y": "1"}',
    ):
        status, _, content = client.raw("POST", path, body, {"Content-Type": "application/json"})
        assert status in (400, 422)
        assert json.loads(content)["detail"]
    assert client.get(f"/api/sessions/{names['session']}") == before
    for x, y in ((1e308, 0), (-1e308, 0), (0, 1e20), (95.50001, 0), (2**63, 2**63)):
        assert client.raw("POST", path, json.dumps({"x": x, "y": y}), {"Content-Type": "application/json"})[0] == 422


def test_sizes_of_requests(known):
    client, _ = known
    for bands in ("1,2,4", "0,1,2", "1,2", "1,2,3,3", "99999999,1,1", ",,", "1,2,x"):
        assert client.raw("GET", f"/api/scenes/0/tiles/0/0/0.png?bands={bands}")[0] == 422
    for tile in ("1/0/0", "0/1/0", "0/0/1", f"{2**31}/0/0", f"0/{2**31}/0"):
        assert client.raw("GET", f"/api/scenes/0/tiles/{tile}.png")[0] == 404
    for tile in ("-1/0/0", f"{2**40}/0/0", "0/0/1.5"):
        assert client.raw("GET", f"/api/scenes/0/tiles/{tile}.png")[0] in (404, 422)
