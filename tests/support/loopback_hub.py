"""A model hub on the loopback interface: what `huggingface_hub` needs to create, upload, commit, list and download.

It answers as the Hub answers: writing needs a token, a private repository does not exist for those without one, large
files go to LFS and come back by a redirect, a commit is made whole or not at all. `interrupt` lets it drop connections
in the middle of a request.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from loopback_store import LARGE, LARGE_BYTES, Commit, CommitError, Repository, apply, metadata

TOKEN = "hf_of_the_loopback"
USER = "me"
_NAME = r"(?P<name>[\w.-]+/[\w.-]+)"
_REVISION = r"(?P<revision>[^/]+)"


class LoopbackHub:
    """A server in a thread of its own; a context manager.

    Attributes:
        repositories: By their names.
        large: What LFS has, by SHA-256.
        requests: Method and path of every request, in order.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self._broken: re.Pattern[str] | None = None
        self._whole = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (_Handler,), {"hub": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def store_url(self) -> str:
        """Where large files are downloaded from: another host to the client, as the Hub's own store is."""
        return f"http://localhost:{self._server.server_port}"

    def __enter__(self) -> LoopbackHub:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def interrupt(self, request: str, whole: bool = False) -> Iterator[None]:
        """Drop the connection of every request that matches, e.g. `"PUT /lfs/"`.

        Args:
            request: A regular expression for the beginning of `METHOD PATH`.
            whole: Whether the request still comes through, and the answer is what gets lost.
        """
        self._broken, self._whole = re.compile(request), whole
        try:
            yield
        finally:
            self._broken = None

    def breaks(self, request: str) -> bool:
        return self._broken is not None and self._broken.match(request) is not None

    def read(self, handler: _Handler, request: str) -> bytes | None:
        """The body of a request, or `None` for one whose connection was dropped."""
        length = int(handler.headers.get("Content-Length") or 0)
        if self.breaks(request) and not self._whole:
            handler.rfile.read(length // 2)
            return None
        body = handler.rfile.read(length)
        return body if len(body) == length else None


class _RefusalError(Exception):
    """An answer other than success."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        self.status, self.message = status, message
        self.headers = {**({"X-Error-Code": code} if code else {}), "X-Error-Message": message, **headers}


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body of an answer waits 40 ms for word that its headers came

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def handle_any(self) -> None:
        path = urlsplit(self.path).path
        request = f"{self.command} {path}"
        self.hub.requests.append((self.command, path))
        body = self.hub.read(self, request)
        if body is None:
            self.close_connection = True
            return
        try:
            status, headers, content = self._answer(path, body)
        except _RefusalError as failure:
            status, headers = failure.status, failure.headers
            content = json.dumps({"error": failure.message, **self._extra(failure)}).encode()
        if self.hub.breaks(request):
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815  names that http.server looks for

    def _extra(self, failure: _RefusalError) -> dict[str, str]:
        return {"url": f"{self.hub.url}{failure.headers['Location']}"} if failure.status == 409 else {}

    def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        for methods, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in methods:
                parts = {name: unquote(part) for name, part in match.groupdict().items() if part is not None}
                result = answer(self, body, **parts)
                return result if isinstance(result, tuple) else (200, _JSON, json.dumps(result).encode())
        raise _RefusalError(404, "", f"no route for {self.command} {path}")

    @property
    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _require_token(self) -> None:
        if not self._has_token:
            raise _RefusalError(401, "", "Invalid username or password.")

    def _repository(self, name: str) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or (found.private and not self._has_token):
            raise _RefusalError(404, "RepoNotFound", "Repository not found")
        return found

    def _commit(self, name: str, revision: str) -> Commit:
        commit = self._repository(name).find(revision)
        if commit is None:
            raise _RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def whoami(self, body: bytes) -> Any:
        self._require_token()
        return {"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": "write"}}}

    def create(self, body: bytes) -> Any:
        self._require_token()
        wanted = json.loads(body)
        name = f"{wanted.get('organization') or USER}/{wanted['name']}"
        if name in self.hub.repositories:
            raise _RefusalError(409, "", "You already created this model repo", Location=f"/{name}")
        self.hub.repositories[name] = Repository(wanted.get("visibility") == "private")
        return {"url": f"{self.hub.url}/{name}", "name": name}

    def delete(self, body: bytes) -> Any:
        self._require_token()
        wanted = json.loads(body)
        del self.hub.repositories[f"{wanted.get('organization') or USER}/{wanted['name']}"]
        return {}

    def validate(self, body: bytes) -> Any:
        try:
            found = metadata(json.loads(body)["content"])
        except yaml.YAMLError as error:
            raise _RefusalError(400, "", f"Invalid metadata in README.md: {error}") from error
        warnings = [] if found else [{"message": "empty or missing yaml metadata in repo card"}]
        return {"errors": [], "warnings": warnings}

    def preupload(self, body: bytes, name: str, revision: str) -> Any:
        self._require_token()
        before = self._commit(name, revision)
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if _is_large(file) else "regular",
                    "shouldIgnore": False,
                    "oid": before.files[file["path"]].name if file["path"] in before.files else None,
                }
                for file in json.loads(body)["files"]
            ]
        }

    def batch(self, body: bytes, name: str) -> Any:
        self._require_token()
        self._repository(name)
        objects = []
        for wanted in json.loads(body)["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.url}/lfs/{wanted['oid']}", "header": {}},
                "verify": {"href": f"{self.hub.url}/{name}.git/info/lfs/objects/verify", "header": {}},
            }
            objects.append({**wanted, **({} if wanted["oid"] in self.hub.large else {"actions": actions})})
        return {"transfer": "basic", "objects": objects}

    def upload(self, body: bytes, oid: str) -> Any:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusalError(400, "", "the content is not what its name says")
        self.hub.large[oid] = body
        return {}

    def verify(self, body: bytes, name: str) -> Any:
        wanted = json.loads(body)
        if len(self.hub.large.get(wanted["oid"], b"")) != wanted["size"]:
            raise _RefusalError(404, "", "no such object")
        return {}

    def commit(self, body: bytes, name: str, revision: str) -> Any:
        self._require_token()
        repository, before = self._repository(name), self._commit(name, revision)
        try:
            commit = apply(map(json.loads, body.splitlines()), before, self.hub.large)
        except CommitError as error:
            raise _RefusalError(412, "", str(error)) from error
        pull = "create_pr" in parse_qs(urlsplit(self.path).query)
        branch = f"refs/pr/{1 + sum(ref.startswith('refs/pr/') for ref in repository.branches)}" if pull else revision
        oid = repository.add(commit, branch)
        url = f"{self.hub.url}/{name}"
        request = f"{url}/discussions/{branch.rsplit('/', 1)[-1]}" if pull else None
        return {"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}", "pullRequestUrl": request}

    def branch(self, body: bytes, name: str, branch: str) -> Any:
        self._require_token()
        repository = self._repository(name)
        if branch in repository.branches:
            raise _RefusalError(409, "", "the branch exists", Location=f"/{name}")
        start = json.loads(body or b"{}").get("startingPoint", "main")
        repository.branches[branch] = self._commit(name, start).oid
        return {}

    def refs(self, body: bytes, name: str) -> Any:
        repository = self._repository(name)
        heads = [
            {"name": branch, "ref": f"refs/heads/{branch}", "targetCommit": oid}
            for branch, oid in repository.branches.items()
            if not branch.startswith("refs/")
        ]
        return {"branches": heads, "converts": [], "tags": [], "pullRequests": []}

    def information(self, body: bytes, name: str, revision: str = "main") -> Any:
        return self._repository(name).information(name, self._commit(name, revision))

    def tree(self, body: bytes, name: str, revision: str, folder: str = "") -> Any:
        files = self._commit(name, revision).files
        inside = {path: file for path, file in files.items() if path.startswith(f"{folder}/" if folder else "")}
        if folder and not inside:
            raise _RefusalError(404, "EntryNotFound", f"{folder} does not exist")
        return [file.entry(path) for path, file in sorted(inside.items())]

    def paths(self, body: bytes, name: str, revision: str) -> Any:
        files = self._commit(name, revision).files
        asked = json.loads(body) if "json" in self.headers["Content-Type"] else parse_qs(body.decode())
        return [files[path].entry(path) for path in asked["paths"] if path in files]

    def resolve(self, body: bytes, name: str, revision: str, path: str) -> Any:
        commit = self._commit(name, revision)
        headers = {"X-Repo-Commit": commit.oid}
        file = commit.files.get(path)
        if file is None:
            raise _RefusalError(404, "EntryNotFound", "Entry not found", **headers)
        if file.sha256 is None:
            return 200, {**headers, "ETag": f'"{file.oid}"'}, file.content
        size = str(len(file.content))
        linked = {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": size}
        return 302, {**headers, **linked, "Location": f"{self.hub.store_url}/lfs/{file.sha256}"}, b""

    def download(self, body: bytes, oid: str) -> Any:
        if "Authorization" in self.headers:
            raise _RefusalError(400, "", "a token has no business at the store")
        if oid not in self.hub.large:
            raise _RefusalError(404, "EntryNotFound", "no such object")
        return 200, {"ETag": f'"{oid}"'}, self.hub.large[oid]


def _is_large(file: dict[str, Any]) -> bool:
    return bool(file["path"].endswith(LARGE) or file["size"] > LARGE_BYTES)


_JSON = {"Content-Type": "application/json"}
_MODEL = rf"/api/models/{_NAME}"
_ROUTES: list[tuple[tuple[str, ...], str, Callable[..., Any]]] = [
    (("GET",), "/api/whoami-v2", _Handler.whoami),
    (("POST",), "/api/repos/create", _Handler.create),
    (("DELETE",), "/api/repos/delete", _Handler.delete),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("POST",), rf"{_MODEL}/preupload/{_REVISION}", _Handler.preupload),
    (("POST",), rf"{_MODEL}/commit/{_REVISION}", _Handler.commit),
    (("POST",), rf"{_MODEL}/branch/(?P<branch>[^/]+)", _Handler.branch),
    (("POST",), rf"{_MODEL}/paths-info/{_REVISION}", _Handler.paths),
    (("GET",), _MODEL, _Handler.information),
    (("GET",), rf"{_MODEL}/revision/{_REVISION}", _Handler.information),
    (("GET",), rf"{_MODEL}/refs", _Handler.refs),
    (("GET",), rf"{_MODEL}/tree/{_REVISION}(/(?P<folder>.+))?", _Handler.tree),
    (("POST",), rf"/{_NAME}\.git/info/lfs/objects/batch", _Handler.batch),
    (("POST",), rf"/{_NAME}\.git/info/lfs/objects/verify", _Handler.verify),
    (("PUT",), "/lfs/(?P<oid>[0-9a-f]{64})", _Handler.upload),
    (("GET", "HEAD"), "/lfs/(?P<oid>[0-9a-f]{64})", _Handler.download),
    (("GET", "HEAD"), rf"/{_NAME}/resolve/{_REVISION}/(?P<path>.+)", _Handler.resolve),
]
