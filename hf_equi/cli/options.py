"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "MODEL",
    "SCORER",
    "AsJson",
    "Group",
    "Model",
    "Neutral",
    "Out",
    "PromptSets",
    "Repository",
    "Scorers",
    "Templates",
]


def _check_repository(name: str) -> str:
    """Refuse a name that is not whole: a name alone would go to whoever is logged in, or be a slip for a folder's."""
    user, slash, rest = name.partition("/")
    if not (user and slash and rest) or "/" in rest:
        raise typer.BadParameter(f"{name!r} is not the name of a repository: write USER/NAME, such as me/equi-gpt2.")
    return name


MODEL = "A folder, a name on the Hub, or 'demo' for the embedded model."
GROUP = (
    "A preset (gender, race, sexuality), also with its elements (race:Black,White), the path of a group's JSON file, "
    "or a product such as 'gender*race'. "
    "[default: gender; for a model saved as an EquiLM, its own]"
)

Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help=MODEL)]
Group = Annotated[str | None, typer.Option("--group", "-g", metavar="GROUP", help=GROUP, show_default=False)]
_CLASSIFIER = (
    "a folder, a Hub name or 'demo'. Of a classifier of regard its name is enough; of another one name the label to "
    "minimise behind a colon, as in me/toxicity:toxic"
)
SCORER = typer.Option(
    metavar="NAME[:LABEL]",
    help=f"The classifier that equizero minimises: {_CLASSIFIER}.",
    show_default="demo",
)
Scorers = Annotated[
    list[str] | None,
    typer.Option(
        "--scorer",
        metavar="NAME[:LABEL]",
        help=f"A classifier that scores the texts: {_CLASSIFIER}. Repeat it for more: equizero minimises the first, "
        "and each has figures of its own. [default: demo, a toy classifier of regard]",
        show_default=False,
    ),
]
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
