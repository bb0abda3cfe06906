"""A process in another Python environment that answers requests, so that both sides can take turns in one run."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from timing import Measure


class OtherEnvironment:
    """Runs a script that reads its arguments from the first line of its input, and then answers one line with one.

    Args:
        folder: The folder of the environment.
        script: The script.
        arguments: Its arguments. Lines are JSON.

    Raises:
        SystemExit: If the folder has no Python.
    """

    def __init__(self, folder: Path, script: Path, arguments: dict[str, Any]) -> None:
        pythons = (folder / "bin" / "python", folder / "Scripts" / "python.exe")
        python = next((path for path in pythons if path.is_file()), None)
        if python is None:
            raise SystemExit(
                f"{folder} holds no Python environment. {script.name} says at its beginning how to make it."
            )
        self._script, self._folder = script, folder
        command = [str(python), "-W", "ignore", str(script)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._say(arguments)

    def ask(self, question: str, **arguments: Any) -> Any:
        """Return the answer to a question.

        Raises:
            SystemExit: If the process has ended. Its own message is on standard error.
        """
        self._say({"ask": question, **arguments})
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            self._end()
        return json.loads(answer)

    def measure(self, question: str, **arguments: Any) -> Measure:
        """Measure one side of a claim by a question."""
        return partial(self.ask, question, **arguments)

    def _say(self, content: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(content) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._end()

    def _end(self) -> None:
        status = self._process.wait()
        raise SystemExit(
            f"The Python of {self._folder} ended with exit status {status}. Its message is above. {self._script.name} "
            "says at its beginning how to make the environment."
        )
