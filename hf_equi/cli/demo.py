"""The command `hf-equi demo`."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hf_equi.cli.methods import How, any_of, check_composes, check_multi_token, method_name
from hf_equi.cli.options import SCORER, Group, Loading, Model, MultiToken, grouped, read_path
from hf_equi.errors import ConfigurationError
from hf_equi.registration import method_names

if TYPE_CHECKING:
    from hf_equi.demo.models import Models
    from hf_equi.models.causal_lm import EquiLM

__all__ = ["demo"]


@grouped
def demo(  # noqa: PLR0913, PLR0917  a command has as many parameters as options
    options: Loading,
    model: Model = "demo",
    group: Group = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"{any_of(method_names('causal_lm'))}.", show_default="equitune"),
    ] = None,
    scorer: Annotated[str | None, SCORER] = None,
    multi_token: MultiToken = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=65535, help="Serve on this port.", show_default="the first free one from 7860 on"
        ),
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Also create a public address, for a week, through Gradio's servers.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            parser=read_path,
            help="Write the page as a Space into this folder, new or empty, and serve nothing.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve a page to try a model in the browser, before and after it is made equivariant.

    On the page you write a prompt and choose a group and a method. It shows the texts of the model and of its EquiLM
    for every demographic, the probabilities of the next token, and the measured gap. The page loads nothing from
    other servers. Serving it needs Gradio: pip install gradio. Press Ctrl-C to stop it.

    \b
    Examples:
      hf-equi demo
      hf-equi demo --model openai-community/gpt2 --group "gender*race" --port 8000
      hf-equi demo --model openai-community/gpt2 --multi-token compose
      hf-equi demo --model openai-community/gpt2 --export my-space
    """  # noqa: D301  the escape \b keeps the lines that follow as they are
    check_multi_token(multi_token)
    choice = _Choice(model, group, How(method and method_name(method), None, multi_token), scorer, options)
    if export is None:
        _serve(choice, port, share)
    elif port is not None or share:
        raise ConfigurationError(
            "--port and --share have no effect with --export, which serves nothing: leave them out."
        )
    elif options.device is not None or options.max_memory is not None:
        raise ConfigurationError(
            "--device and --max-memory have no effect with --export: a Space has its own device. Leave them out."
        )
    else:
        _export(choice, export)


@dataclass(frozen=True)
class _Choice:
    """What the page shows, as on the command line."""

    model: str
    group: str | None
    how: How
    scorer: str | None
    options: Loading

    @property
    def name(self) -> str:
        """The name of the model on the page."""
        if self.model == "demo":
            return "The embedded demo model"
        return Path(self.model).resolve().name if Path(self.model).is_dir() else self.model

    def load(self) -> EquiLM:
        """The model, symmetrised."""
        from hf_equi.cli.groups import parse_group  # noqa: PLC0415
        from hf_equi.cli.loading import load_lm, quiet  # noqa: PLC0415

        group, called = None if self.group is None else parse_group(self.group), "the method"
        called = called if self.how.method is None else "--method"

        def check(_: object, method: str) -> None:
            check_composes(self.how.multi_token, method, called)

        how: dict[str, Any] = {"command": "demo", "scorer": self.scorer, "check": check, "options": self.options}
        with quiet():
            return load_lm(self.model, group, self.how, **how)

    def models(self) -> Models:
        """Return the model, with the means to make others from its base."""
        from hf_equi.cli.groups import parse_group  # noqa: PLC0415
        from hf_equi.cli.loading import DEFAULT_GROUP, read_scorer  # noqa: PLC0415
        from hf_equi.demo.models import OWN_GROUP, Models  # noqa: PLC0415
        from hf_equi.models.causal_lm import EquizeroLM  # noqa: PLC0415

        lm = self.load()
        own = lm.group != parse_group(DEFAULT_GROUP)
        name = self.group or (OWN_GROUP if own else DEFAULT_GROUP)
        searching = lm if isinstance(lm, EquizeroLM) else None
        return Models(
            lm, name, parse_group, cache(lambda: searching.scorer if searching else read_scorer(self.scorer or "demo"))
        )


def _serve(choice: _Choice, port: int | None, share: bool) -> None:
    from hf_equi.cli.display import note, progress, write_line  # noqa: PLC0415
    from hf_equi.cli.loading import quiet  # noqa: PLC0415
    from hf_equi.demo.page import Page, gradio_version  # noqa: PLC0415

    gradio_version()  # before the model is loaded
    _check_port(port)

    def started(address: str) -> None:
        write_line("serving", address)
        sys.stdout.flush()

    with progress() as bar:
        bar.add_task("loading", total=None)
        models = choice.models()
    try:
        with quiet(notes=False):
            Page(models, choice.name).serve(port, share, started)
    except KeyboardInterrupt:
        note("stopped")


def _check_port(port: int | None) -> None:
    """Refuse a port that cannot be used."""
    if port is None:
        return
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"--port {port} cannot be used: {error.strerror}. Name another, or leave --port out to use a free one."
            ) from error


def _export(choice: _Choice, folder: Path) -> None:
    from hf_equi.cli.arguments import expanded  # noqa: PLC0415
    from hf_equi.cli.display import write_line  # noqa: PLC0415
    from hf_equi.cli.loading import locate, quiet  # noqa: PLC0415
    from hf_equi.demo.export import OLDEST_GRADIO, Space, export  # noqa: PLC0415
    from hf_equi.demo.page import gradio_version  # noqa: PLC0415

    version, folder = gradio_version(OLDEST_GRADIO), expanded(folder)
    if choice.scorer not in (None, "demo") and expanded(choice.scorer).is_dir():
        raise ConfigurationError(
            f"--scorer {choice.scorer} is a folder on this machine, which a Space does not have: upload it to the Hub "
            "and pass its name there."
        )
    here = choice.model != "demo" and Path(locate(choice.model)).is_dir()
    asked: dict[str, str | bool | None] = {
        "--group": choice.group,
        "--method": choice.how.method,
        "--multi-token": choice.how.multi_token,
        "--scorer": choice.scorer,
    }
    space = Space(None if here else choice.model, choice.name, asked | _loading(choice.options), version)
    with quiet():
        files = export(folder, space, choice.load)
    parts = {top + slash for top, slash, _ in (name.partition("/") for name in files)}
    write_line("wrote", str(folder), ", ".join(sorted(parts)))
    write_line("try", f"python {folder / 'app.py'}")
    write_line("upload", f"hf upload USER/NAME {folder} --repo-type space")


def _loading(options: Loading) -> dict[str, str | bool | None]:
    """Return the options that tell a Space how to load its model."""
    dtype = None if options.dtype == Loading().dtype else options.dtype
    return {"--dtype": dtype, "--revision": options.revision, "--trust-remote-code": options.trust_remote_code}
