"""The documentation site: every page is in it, every link leads somewhere, every public name is documented."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from notebook_cells import NOTEBOOKS, code_cells, run

import hf_equi

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *NOTEBOOKS])
PACKAGES = (
    "fairness.metrics",
    "models.causal_lm",
    "models.clip",
    "models.dense",
    "models.image_classification",
    "models.q_network",
    "models.seq2seq",
)
"""Packages with public names below those that `hf_equi` lists."""


def load(name: str) -> ModuleType:
    """A file of the site, which no package holds."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "theme" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hooks = load("hooks")


def entries(nav: Any) -> Iterator[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from entries(part)


def text_of(page: Path) -> str:
    """A page's markdown."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Where links into a page may lead, as code hosts and the site name it."""
    titles = re.findall(r"^#+ (.+)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_navigation() -> None:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), yaml.BaseLoader)  # whose tags are ignored
    listed = list(entries(settings["nav"]))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert sorted(listed) == sorted({*pages, *hooks.extra_pages().values()}), "add the page to mkdocs.yml"


def test_links_lead_to_pages_and_headings() -> None:
    lost = []
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^()\s#]*)(?:#([^()\s]*))?\)", text_of(page)):
            path = page.parent / target if target else page
            if "://" in target:
                continue
            if not path.exists():
                lost.append(f"{page.relative_to(ROOT)}: {target}")
            elif anchor and anchor not in anchors(path):
                lost.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
    assert not lost, "\n".join(lost)


def public_objects() -> dict[int, str]:
    """Every public object by its identity, and a name of it."""
    packages = [name for name in dir(hf_equi) if isinstance(getattr(hf_equi, name), ModuleType)]
    stub = (ROOT / "hf_equi" / "__init__.pyi").read_text(encoding="utf-8")
    listed = [name for name in packages if f"from hf_equi import {name} as" in stub]
    found = {f"hf_equi.{name}": getattr(hf_equi, name) for name in hf_equi.__all__ if name != "__version__"}
    for package in (*listed, *PACKAGES):
        module = import_module(f"hf_equi.{package}")
        found |= {f"hf_equi.{package}.{name}": getattr(module, name) for name in module.__all__}
    return {id(value): name for name, value in found.items()}


def test_every_public_name_is_documented_once() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "api").glob("*.md")))
    documented = re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE)
    objects = [getattr(import_module(module), name) for module, _, name in (one.rpartition(".") for one in documented)]
    public = public_objects()
    assert len({*map(id, objects)}) == len(documented)
    missing = set(public) - set(map(id, objects))
    assert not missing, f"add to docs/api: {', '.join(sorted(public[one] for one in missing))}"


def test_links_of_the_repository_become_those_of_the_site() -> None:
    def linked(markdown: str, page: str, repository: str | None = None) -> str:
        return hooks.linked(markdown, page, repository)

    assert linked("[a](../CONTRIBUTING.md#x)", "text.md") == "[a](contributing.md#x)"
    assert linked("[a](docs/guarantees.md)", "changelog.md") == "[a](guarantees.md)"
    assert linked("[a](../../notebooks/images.ipynb)", "api/README.md") == "[a](../notebooks/images.md)"
    assert linked("[a](language.ipynb)", "notebooks/images.md") == "[a](language.md)"
    assert linked("[`a`](../examples/scan.py)", "text.md") == "`a`"
    assert (
        linked("[a](../examples/scan.py)", "text.md", "https://host/repo") == "[a](https://host/repo/examples/scan.py)"
    )
    kept = "[a](https://host/x) [b](guarantees.md#over-turns) [c](#here)\n```python\nx[0](../examples)\n```\n"
    assert linked(kept, "text.md") == kept


def test_the_site_has_the_help_of_every_command() -> None:
    text = hooks.commands()
    commands = ("generate", "inspect", "audit", "demo", "convert", "publish")
    assert all(f"## hf-equi {name}" in text for name in commands)
    assert "| `--model` `-m` |" in text
    assert "\n$ hf-equi generate --prompt" in text
    assert hooks.COMMANDS in (DOCS / "api" / "command_line.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_print_and_draw_what_they_show(path: Path) -> None:
    """Up to figures, which differ between machines."""
    shown = [cell["outputs"] for cell in code_cells(json.loads(path.read_text(encoding="utf-8")))]
    assert [*map(comparable, run(path))] == [*map(comparable, shown)]
    page, pictures = hooks.notebook_page(f"notebooks/{path.name}")
    assert len(pictures) == sum("image/png" in output.get("data", {}) for cell in shown for output in cell) > 0
    assert all(f"]({Path(name).name})" in page for name in pictures)


def comparable(outputs: list[dict[str, Any]]) -> list[str]:
    """What a cell gave, without figures."""
    texts = [re.sub(r"\s*\d+(\.\d+)?", " 0", "".join(output.get("text", ["a picture"]))) for output in outputs]
    assert all(output["output_type"] in ("stream", "display_data") for output in outputs)
    return texts
