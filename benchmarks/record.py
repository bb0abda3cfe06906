"""Keep the measures of finished claims in a file, so that an interrupted run goes on behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from timing import Claim, Result


class Record:
    """A JSON file with the measures of finished claims.

    Args:
        path: The file, which need not exist yet, or `None` to keep nothing.
        settings: What the measures depend on besides the claim, such as the seed. A file with others is refused.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self._path = path
        self._content: dict[str, Any] = {"settings": settings, "seconds": None, "claims": {}}
        if path is not None and path.is_file():
            self._content = json.loads(path.read_text(encoding="utf-8"))
            if self._content["settings"] != settings:
                raise SystemExit(f"{path} holds measures with {self._content['settings']}, not with {settings}")

    @property
    def seconds(self) -> dict[str, int] | None:
        """The time that the finished claims took, as a `Clock` gives it."""
        return self._content["seconds"]

    def result(self, claim: Claim) -> Result | None:
        """Return the measures of a claim, if it is finished."""
        found = self._content["claims"].get(claim.name)
        if found is None:
            return None
        return Result(claim, tuple(found["ours"]), {name: tuple(took) for name, took in found["others"].items()})

    def keep(self, result: Result, seconds: dict[str, int]) -> None:
        """Keep the measures of a claim, and the time of all so far."""
        self._content["claims"][result.claim.name] = {"ours": result.ours, "others": dict(result.others)}
        self._content["seconds"] = seconds
        if self._path is not None:
            self._path.write_text(json.dumps(self._content, indent=1) + "\n", encoding="utf-8")
