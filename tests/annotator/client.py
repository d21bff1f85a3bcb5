"""A small client of the annotator's API, of the standard library alone."""

import http.client
import json
import time
from contextlib import closing, contextmanager, suppress
from threading import Thread
from urllib.parse import unquote

import uvicorn

from vfm_isrefiner.annotator.server import bound, config_of

IDLE = 3.0  # seconds


class Failed(Exception):
    """An answer of 400 or more. `status`; `body`: what came, decoded."""

    def __init__(self, status, body, headers):
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers


class Client:
    """Calls of one server; a connection of its own for each thread that makes a client."""

    def __init__(self, port, token=None, host="127.0.0.1"):
        self.port, self.headers = port, {} if token is None else {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._used = 0.0

    def raw(self, method, path, body=None, headers=None):
        """Status, headers, content."""
        if time.monotonic() - self._used > IDLE:  # the server may close it just now
            self._connection.close()
        self._used = time.monotonic()
        try:
            # a server that refuses a body answers and closes before all of it is sent
            with suppress(BrokenPipeError, ConnectionResetError):
                self._connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = self._connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except BaseException:
            self._connection.close()
            raise

    def call(self, method, path, body=None):
        """The decoded answer. Raises `Failed`."""
        content = None if body is None else json.dumps(body)
        status, headers, answer = self.raw(method, path, content, {} if body is None else {"Content-Type": "application/json"})
        kind = headers.get("content-type", "")
        decoded = json.loads(answer) if kind.startswith("application/json") else answer
        if status >= 400:
            raise Failed(status, decoded, headers)
        return decoded

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, **body):
        return self.call("POST", path, body)

    def begin(self, scene="0", **body):
        """A session on a scene."""
        return Annotator(self, scene, self.post(f"/api/scenes/{scene}/sessions", **body))

    def objects(self, scene="0", since=0):
        return self.get(f"/api/scenes/{scene}/objects?since={since}")

    def relabel(self, number, label, version, scene="0"):
        return self.call("PATCH", f"/api/scenes/{scene}/objects/{number}", {"label": label, "version": version})

    def delete(self, number, version, scene="0"):
        return self.call("DELETE", f"/api/scenes/{scene}/objects/{number}?version={version}")

    def restore(self, number, scene="0"):
        return self.post(f"/api/scenes/{scene}/objects/{number}/restore")

    def export(self, format, scene="0"):
        """Name and content of the file."""
        status, headers, content = self.raw("GET", f"/api/scenes/{scene}/export?format={format}")
        assert status == 200, content
        return unquote(headers["content-disposition"].partition("filename*=UTF-8''")[2]), content

    def close(self):
        self._connection.close()


class Annotator:
    """A session; `state` is what the server said of it last."""

    def __init__(self, client, scene, state):
        self.client, self.scene, self.state, self.key = client, scene, state, state["session"]

    def _do(self, step, **body):
        self.state = self.client.post(f"/api/sessions/{self.key}/{step}", **body)
        return self.state

    def click(self, x, y, positive=True):
        return self._do("click", x=x, y=y, positive=positive)

    def undo(self):
        return self._do("undo")

    def redo(self):
        return self._do("redo")

    def reset(self):
        return self._do("reset")

    def edit(self, number, version):
        return self._do("edit", object=number, version=version)

    def accept(self, label="object"):
        """The object."""
        answer = self.client.post(f"/api/sessions/{self.key}/accept", label=label)
        self.state = answer["state"]
        return answer["object"]

    def close(self):
        return self.client.post(f"/api/sessions/{self.key}/close")


@contextmanager
def serving(app, port=0):
    """The port of a server in a thread of this process; 0: any free one."""
    with bound("127.0.0.1", port) as socket:
        server = uvicorn.Server(config_of(app))
        thread = Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        try:
            port = socket.getsockname()[1]
            with closing(Client(port)) as client:
                client.raw("GET", "/health")
            yield port
        finally:
            server.should_exit = True
            thread.join(30)
