"""What a model hub keeps: repositories with their commits and branches, and large files apart from both."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGE = (".safetensors", ".bin", ".pt", ".h5", ".model", ".msgpack", ".onnx")
"""Endings that a new repository's `.gitattributes` gives to LFS."""
ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LARGE).encode()
LARGE_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Stored:
    """A file of a commit: its content, and for a large one the SHA-256 under which LFS has it."""

    content: bytes
    sha256: str | None = None

    @property
    def pointer(self) -> bytes:
        """What git itself holds of a large file."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return text.encode()

    @property
    def oid(self) -> str:
        """The git blob's name."""
        blob = self.content if self.sha256 is None else self.pointer
        return hashlib.sha1(b"blob %d\0" % len(blob) + blob).hexdigest()

    @property
    def name(self) -> str:
        """By which a client knows that it need not send the file."""
        return self.sha256 or self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """As a listing of a tree has it."""
        found: dict[str, Any] = {"type": "file", "oid": self.oid, "size": len(self.content), "path": path}
        if self.sha256 is not None:
            found["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return found


@dataclass(frozen=True)
class Commit:
    """All files of a repository at one time."""

    files: Mapping[str, Stored]
    message: str
    parent: str | None

    @property
    def oid(self) -> str:
        listing = [(path, file.oid) for path, file in sorted(self.files.items())]
        return hashlib.sha1(json.dumps([listing, self.message, self.parent]).encode()).hexdigest()


@dataclass
class Repository:
    """Commits, and the names that point to them."""

    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add(Commit({".gitattributes": Stored(ATTRIBUTES)}, "initial commit", None), "main")

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch, a pull request or a commit's own name stands for."""
        return self.commits.get(self.branches.get(revision, revision))

    def add(self, commit: Commit, branch: str) -> str:
        """Put a commit at the end of a branch."""
        self.commits[commit.oid] = commit
        self.branches[branch] = commit.oid
        return commit.oid

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """What somebody who looks at the repository sees, except for the file that it was made with."""
        commit = self.find(revision)
        assert commit is not None
        return {path: file.content for path, file in commit.files.items() if path != ".gitattributes"}

    def replace(self, contents: Mapping[str, bytes | None]) -> str:
        """Commit to `main`, as an upload through the web site would: new contents, `None` for a file to remove."""
        changed = {**self.commits[self.branches["main"]].files}
        for path, content in contents.items():
            if content is None:
                del changed[path]
            else:
                large = path.endswith(LARGE)
                changed[path] = Stored(content, hashlib.sha256(content).hexdigest() if large else None)
        return self.add(Commit(changed, "edit", self.branches["main"]), "main")

    def information(self, name: str, commit: Commit) -> dict[str, Any]:
        """What the Hub tells about a model, with the metadata of its card."""
        card = commit.files.get("README.md")
        return {
            "id": name,
            "modelId": name,
            "sha": commit.oid,
            "private": self.private,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            "cardData": metadata(card.content.decode()) if card is not None else None,
        }


class CommitError(Exception):
    """A commit that the Hub would refuse."""


def metadata(card: str) -> dict[str, Any] | None:
    """The YAML between the dashes at the head of a card.

    Raises:
        yaml.YAMLError: If it is none.
    """
    if not card.startswith("---\n") or "\n---" not in card[3:]:
        return None
    found = yaml.safe_load(card[4 : card.index("\n---", 3)])
    return found if isinstance(found, dict) else None


def apply(lines: Iterable[Mapping[str, Any]], before: Commit, large: Mapping[str, bytes]) -> Commit:
    """The commit that a request asks for.

    Args:
        lines: The request, a document a line.
        before: The commit it follows.
        large: The contents that LFS has, by their SHA-256.

    Raises:
        CommitError: If it follows another commit, or names a large file that was never uploaded.
    """
    files, message = {**before.files}, ""
    for line in lines:
        value: Mapping[str, Any] = line["value"]
        if line["key"] == "header":
            message = value["summary"]
            if value.get("parentCommit", before.oid) != before.oid:
                raise CommitError("A commit has happened since. Please refresh and try again.")
        elif line["key"] == "file":
            files[value["path"]] = Stored(_decode(value))
        elif line["key"] == "lfsFile":
            if value["oid"] not in large:
                raise CommitError(f"LFS pointer pointed to a file that does not exist: {value['path']}")
            files[value["path"]] = Stored(large[value["oid"]], value["oid"])
        elif line["key"] == "deletedFile":
            del files[value["path"]]
        else:
            raise CommitError(f"unknown operation {line['key']!r}")
    return Commit(files, message, before.oid)


def _decode(value: Mapping[str, Any]) -> bytes:
    if value["encoding"] != "base64":
        raise CommitError(f"unknown encoding {value['encoding']!r}")
    return b64decode(value["content"], validate=True)
