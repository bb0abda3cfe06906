"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "ANY_GROUP",
    "MODEL",
    "SCORER",
    "AsJson",
    "Group",
    "Model",
    "Neutral",
    "Out",
    "PromptSets",
    "Repository",
    "Templates",
]


def _check_repository(name: str) -> str:
    """Refuse a name that is not whole: a name alone would go to whoever is logged in, or be a slip for a folder's."""
    user, slash, rest = name.partition("/")
    if not (user and slash and rest) or "/" in rest:
        raise typer.BadParameter(f"{name!r} is not the name of a repository: write USER/NAME, such as me/equi-gpt2.")
    return name


MODEL = "A folder, a name on the Hub, or 'demo' for the embedded model."
_GROUPS = (
    "a preset (gender, race, sexuality), optionally with some of its elements (race:Black,White), the path of a "
    "group's JSON file, or a product such as 'gender*race'."
)
GROUP = f"A{_GROUPS[1:]} [default: gender; for a model saved as an EquiLM, its own]"
ANY_GROUP = f"Words: {_GROUPS} Images: rotations:4, dihedral:4, flips:horizontal and the like."

Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help=MODEL)]
Group = Annotated[str | None, typer.Option("--group", "-g", metavar="GROUP", help=GROUP, show_default=False)]
SCORER = typer.Option(
    metavar="NAME",
    help="A classifier of regard, which equizero minimises: a folder, a Hub name or 'demo'.",
    show_default="demo",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.")]

Templates = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="TEMPLATE",
        help="A prompt with the place {demographic}; repeat it for more. Without the place it is neutral: its texts "
        "are kept, and no figure counts them.",
        show_default=False,
    ),
]
PromptSets = Annotated[
    list[str] | None,
    typer.Option(
        "--prompt-set",
        metavar="NAME",
        help="Published prompts: sheng2019, or its halves respect and occupation. [default: sheng2019]",
        show_default=False,
    ),
]
Neutral = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Neutral words of the R- methods, one a line. [default: occupations of no gender]",
        show_default=False,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where samples, figures and report go. [default: audit-GROUP-SEED here]",
        show_default=False,
    ),
]

Repository = Annotated[
    str, typer.Argument(metavar="REPO", help="USER/NAME, made where there is none.", callback=_check_repository)
]
