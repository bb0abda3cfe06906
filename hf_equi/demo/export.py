"""The page as the folder of a Space: a program, its requirements, and a card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from huggingface_hub import SpaceCardData
from huggingface_hub.constants import REPOCARD_NAME
from jinja2 import Environment, PackageLoader, StrictUndefined

from hf_equi import __version__
from hf_equi.auto import DEMO
from hf_equi.demo.models import is_preset
from hf_equi.errors import ConfigurationError
from hf_equi.hub.conversion import check_output
from hf_equi.models.causal_lm import EquiLM, EquizeroLM
from hf_equi.models.hub.staging import staged

__all__ = ["OLDEST_GRADIO", "Space", "export"]

OLDEST_GRADIO = "6.31.0"
"""The oldest release that the extra `demo` allows: the one of a Space that is written where none is installed."""
APP, MODEL, GROUP = "app.py", "model", "group.json"


@dataclass(frozen=True)
class Space:
    """The content of a Space.

    Args:
        model: A name on the Hub, or `"demo"`; `None` to store the model in the folder.
        name: The name of the model on the card.
        asked: The other options of `hf-equi demo`, by name: `None` for an option that is left out, `True` for one that
            takes no value.
        gradio: The version of Gradio.
    """

    model: str | None
    name: str
    asked: dict[str, str | bool | None]
    gradio: str

    @property
    def group(self) -> str | None:
        """Return the group, as on the command line."""
        return cast("str | None", self.asked.get("--group"))

    @property
    def group_file(self) -> bool:
        """Whether the group goes into a file, because it is not made of presets."""
        return self.group is not None and not is_preset(self.group)

    @property
    def hub_model(self) -> str | None:
        """Return the model's name on the Hub, if it is there."""
        return None if self.model == DEMO else self.model

    def arguments(self) -> list[str]:
        """Return the arguments of `hf-equi`, as the program writes them."""
        written = {"--model": self.model, **self.asked}
        here = {"--model": MODEL} if self.model is None else {}
        here |= {"--group": GROUP} if self.group_file else {}
        program = [json.dumps("demo")]
        for name, value in written.items():
            if name in here:
                program += [json.dumps(name), f"str(HERE / {json.dumps(here[name])})"]
            elif value is True:
                program.append(json.dumps(name))
            elif value:
                program += [json.dumps(name), json.dumps(value)]
        return program


def export(folder: Path, space: Space, load: Callable[[], EquiLM]) -> tuple[str, ...]:
    """Write the folder of a Space. It is written to a temporary place and then moved.

    Args:
        folder: The folder to write, new or empty.
        space: The content of the Space.
        load: Loads the model once the folder is known to be free. A model that is only on this machine is stored in
            the folder.

    Returns:
        The paths of the files in the folder.

    Raises:
        ConfigurationError: For a folder that is not empty or cannot be written; for a saved model whose scorer is only
            on this machine.
    """
    check_output(folder)
    lm = load()
    if isinstance(lm, EquizeroLM) and space.asked.get("--scorer") is None and lm.config.stored_scorer is None:
        raise ConfigurationError("The model was saved without its scorer: pass one from the Hub with --scorer.")
    names: dict[str, Any] = {
        "space": space,
        "version": __version__,
        "words": lm.group.names,
        "method": lm.config.method,
    }
    with staged(folder) as new:
        if space.model is None:
            changes = ("--group", "--method", "--multi-token")
            as_saved = all(space.asked.get(name) is None for name in changes)
            save = lm.save_pretrained if as_saved else lm.save_base_pretrained
            save(new / MODEL)
        if space.group_file:
            (new / GROUP).write_text(lm.group.to_json() + "\n", encoding="utf-8")
        (new / APP).write_text(_rendered("app.py.j2", names), encoding="utf-8")
        (new / "requirements.txt").write_text(f"hf_equi[demo]=={__version__}\n", encoding="utf-8")
        (new / REPOCARD_NAME).write_text(_card(space, names), encoding="utf-8")
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))


def _card(space: Space, names: dict[str, Any]) -> str:
    data = SpaceCardData(
        title=f"{space.name}, before and after"[:60],
        sdk="gradio",
        sdk_version=space.gradio,
        python_version="3.11",
        app_file=APP,
        models=[space.hub_model] if space.hub_model else None,
        tags=["equivariance", "fairness"],
        pinned=False,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_rendered('space_card.md.j2', names)}"


def _rendered(name: str, names: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("hf_equi", "demo"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(name).render(names)
