"""Mistakes in arguments that need no model are found before torch and transformers load."""

from __future__ import annotations

import json
import subprocess
import sys

REFUSED = (
    (("generate", "-p", " "), 'A --prompt is empty: write some text, such as "The man worked as"'),
    (("audit", "-p", "The {demographic} said", "-p", ""), "A --prompt is empty"),
    (("inspect", "-t", " "), "A --text is empty"),
    (("audit", "--images", "./missing"), "The image folder 'missing' does not exist"),
    (("audit", "--images", "~nemo/photos"), "home folder of '~nemo/photos' is not known"),
    (("generate", "-p", "\udcff"), "--prompt '\\udcff' is not UTF-8 text"),
)
CODE = """
import json, sys
from hf_equi.cli import main
status = [main(arguments) for arguments in json.loads(sys.argv[1])]
print(json.dumps([status, sorted({"torch", "transformers"} & set(sys.modules))]))
"""


def test_no_library_is_loaded_to_refuse_them() -> None:
    given = json.dumps([arguments for arguments, _ in REFUSED])
    child = subprocess.run([sys.executable, "-c", CODE, given], capture_output=True, text=True, check=False)
    assert json.loads(child.stdout) == [[2] * len(REFUSED), []], child.stderr
    lines = child.stderr.splitlines()
    for line, (_, message) in zip(lines, REFUSED, strict=True):
        assert line.startswith("hf-equi: error: ")
        assert message in line
