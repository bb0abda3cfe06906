"""What the site adds to docs/: pages from elsewhere in the repository, the command line's help, links, formulas.

`mkdocs.yml` names this file, and MkDocs calls the functions whose names begin with `on_`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from html import unescape
from inspect import cleandoc
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
COMMANDS = "<!-- The site puts the help of all commands here. -->"
_LINK = re.compile(r"(?P<text>\[(?:[^\[\]]|\[[^\]]*\])*\])\((?P<target>[^()\s#]+)(?P<anchor>#[^()\s]*)?\)")
_FENCE = re.compile(r"^(?P<mark>```+)\w*\n.*?^(?P=mark)$", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(r'<(?P<tag>div|span) class="arithmatex">(?P<latex>.*?)</(?P=tag)>', re.DOTALL)


def extra_pages() -> dict[str, str]:
    """Where the pages that are not in docs/ come from, and where they stand on the site."""
    notebooks = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    return ROOT_PAGES | {f"notebooks/{name}": f"notebooks/{name.removesuffix('.ipynb')}.md" for name in notebooks}


def source_of(page: str) -> str:
    """The path in the repository of a page of the site."""
    return next((source for source, target in extra_pages().items() if target == page), f"docs/{page}")


def linked(markdown: str, page: str, repository: str | None) -> str:
    """A page's text with links that hold on the site.

    Links are written for the repository. On the site, pages from elsewhere have other places. Files that are not pages
    exist only in the repository: a link to one leads there, or becomes plain text if no repository is known.

    Args:
        markdown: The text.
        page: Its place on the site.
        repository: The address under which the files of the repository are shown.
    """
    folder = PurePosixPath(source_of(page)).parent

    def replace(match: re.Match[str]) -> str:
        path = os.path.normpath(folder / match["target"])
        if "://" in match["target"] or not (ROOT / path).exists():
            return match[0]
        target = extra_pages().get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if target == "results":  # a folder, whose page is its README
            target = "results/README.md"
        if target is not None:
            relative = os.path.relpath(target, PurePosixPath(page).parent)
            return f"{match['text']}({relative}{match['anchor'] or ''})"
        return f"{match['text']}({repository}/{path})" if repository else match["text"][1:-1]

    return "".join(part if is_code else _LINK.sub(replace, part) for is_code, part in _parts(markdown))


def _parts(markdown: str) -> Iterator[tuple[bool, str]]:
    """Fenced blocks, and what is between them."""
    end = 0
    for fence in _FENCE.finditer(markdown):
        yield False, markdown[end : fence.start()]
        yield True, fence[0]
        end = fence.end()
    yield False, markdown[end:]


def notebook_page(name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as a page, and the pictures that it shows, by their paths on the site."""
    cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
    stem, parts, pictures = PurePosixPath(name).stem, [], {}
    for cell in cells:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{stem}_{len(pictures) + 1}.png"
                pictures[f"notebooks/{picture}"] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![Output of the cell above]({picture})")
            else:
                parts.append(f"```text\n{''.join(output.get('text') or data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures


def commands() -> str:
    """The help of every command, as markdown."""
    from typer.main import get_command

    from hf_equi.cli import app

    group: Any = get_command(app)
    parts = []
    for name, command in group.commands.items():
        rows = ["| argument or option | what it does |", "|---|---|", *map(_option, command.params)]
        parts += [f"## hf-equi {name}", _help(command.help or ""), "\n".join(rows)]
    return "\n\n".join(parts)


def _help(text: str) -> str:
    """The help of a command, with its examples as a block of code."""
    parts = []
    for part in cleandoc(text).replace("\b\n", "\b").split("\n\n"):
        title, _, lines = part.removeprefix("\b").partition("\n")
        examples = "\n".join(f"$ {line.strip()}" for line in lines.replace("\\\n", "").splitlines())
        parts.append(f"{title}\n\n```console\n{examples}\n```" if part.startswith("\b") else part)
    return "\n\n".join(parts)


def _option(parameter: Any) -> str:
    """A row of the table of a command."""
    names = " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    text = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", r"\|").replace("<", "&lt;")
    default = parameter.default
    shown = not callable(default) and isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"| {names} | {text}{f' [default: {default}]' if shown and 'default:' not in text else ''} |"


def with_formulas(html: str) -> str:
    """A page whose formulas are MathML, which browsers draw without a script."""
    from latex2mathml.converter import convert

    def replace(match: re.Match[str]) -> str:
        latex = unescape(match["latex"]).strip().removeprefix(r"\[").removesuffix(r"\]")
        latex = latex.removeprefix(r"\(").removesuffix(r"\)").replace(r"\arg", r"\operatorname{arg}")
        drawn = convert(latex, display="block" if match["tag"] == "div" else "inline")
        if "\\" in drawn:
            raise ValueError(
                f"latex2mathml does not know a command of the formula {latex}: use another, or add it here"
            )
        return drawn

    return _FORMULA.sub(replace, html)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from elsewhere."""
    from mkdocs.structure.files import File

    for source, target in extra_pages().items():
        if source.endswith(".ipynb"):
            text, pictures = notebook_page(source)
            for path, data in pictures.items():
                files.append(File.generated(config, path, content=data))
        else:
            text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put the commands in, and make the links hold."""
    del files
    repository = f"{config.repo_url.rstrip('/')}/blob/main" if config.repo_url else None
    text = markdown.replace(COMMANDS, commands()) if COMMANDS in markdown else markdown
    return linked(text, page.file.src_uri, repository)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Draw the formulas."""
    del page, config, files
    return with_formulas(html)
