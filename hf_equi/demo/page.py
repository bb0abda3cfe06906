"""The page: its controls, and what they do. It needs Gradio, the extra `demo`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from hf_equi.checks import to_install
from hf_equi.demo.answers import MOST_LETTERS, MOST_TOKENS, Question, answer
from hf_equi.demo.models import Models
from hf_equi.demo.results import problem_html, results_html, styles, waiting_html
from hf_equi.errors import ConfigurationError, HfEquiError
from hf_equi.fairness.chat import has_chat
from hf_equi.fairness.completions import work

__all__ = ["Page", "gradio_version"]

INTRODUCTION = """# {name}, before and after

Write a prompt that mentions a person. The page shows what the model says, and what it says once it is equivariant: \
if you exchange the words of a group in the prompt, such as **{words}**, they are exchanged in the text, and the text \
is otherwise the same. No weight is changed.
"""

# The browser may load only what this server sends.
_POLICY = b"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'self' data: blob: ws: wss:"


def gradio_version(otherwise: str | None = None) -> str:
    """Return the installed version of Gradio.

    Args:
        otherwise: What to return if Gradio is not installed.

    Raises:
        ConfigurationError: If Gradio is not installed, and `otherwise` is `None`.
    """
    try:
        return version("gradio")
    except PackageNotFoundError as error:
        if otherwise is not None:
            return otherwise
        raise ConfigurationError(f"The page needs Gradio: {to_install('gradio', 'demo')}.") from error


class Page:
    """A page, one answer at a time.

    Args:
        models: The models that it asks.
        name: The name of the base.
    """

    def __init__(self, models: Models, name: str) -> None:
        self.models, self.name = models, name
        self._busy, self._stopped = threading.Lock(), threading.Event()

    def respond(self, group: str, method: str, question: Callable[[], Question], progress: Callable[..., Any]) -> str:
        """Return the HTML below the controls: the results, or one sentence that says what is wrong.

        Args:
            group: As chosen.
            method: As chosen.
            question: Makes the question from what was written.
            progress: Called with the number of finished rows of the base and with their total.
        """
        done = 0.0

        def report(rows: float, ends: bool) -> None:
            nonlocal done
            if self._stopped.is_set():
                raise ConfigurationError("The page was stopped.")
            done += rows
            progress((round(done), most), desc="Writing", unit="rows")

        try:
            asked = question()
            with self._busy:
                lm = self.models.get(group, method)
                most = work(lm, [asked.asked], asked.decoding).rows
                return results_html(answer(lm, asked, report))
        except HfEquiError as error:
            return problem_html(str(error))

    def suggest(self, prompt: str, group: str) -> str:
        """Return a prompt that another group moves, or the prompt itself if the visitor has written it."""
        known = {self.models.suggest(one) for one in self.models.groups}
        return (self.models.suggest(group) or prompt) if prompt in known else prompt

    def serve(self, port: int | None, share: bool, started: Callable[[str], None]) -> None:
        """Serve the page until it is interrupted.

        Args:
            port: The port; by default the first free one from 7860 on.
            share: Whether to create a public address too, through Gradio's servers.
            started: Called with each address.

        Raises:
            ConfigurationError: Without Gradio, if the port is taken, or if no public address is available.
        """
        page = self.build()
        try:
            _, local, public = page.launch(server_port=port, share=share, css=styles(), theme=_theme(), **_launching())
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split()).partition(". ")[0]  # the rest is about Gradio's own settings
            raise ConfigurationError(
                f"The page could not be served: {reason}. Name another port with --port."
            ) from error
        try:
            if share and not public:
                raise ConfigurationError("No public address is available: Gradio's servers cannot be reached.")
            for address in filter(None, (local, public)):
                started(address)
            threading.Event().wait()
        finally:
            self._stopped.set()
            page.close(verbose=False)
            with self._busy:  # a running answer ends at its next token
                pass

    def build(self) -> Any:
        """Build the controls, and connect them to their actions.

        Raises:
            ConfigurationError: Without Gradio.
        """
        gradio_version()
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio reads it on import
        import gradio as gr  # noqa: PLC0415  an extra, and slow

        def ask(
            prompt: str,
            chat: bool,
            group: str,
            method: str,
            tokens: float,
            seed: float,
            greedy: bool,
            progress: Any = gr.Progress(),  # noqa: B008  Gradio finds it by this default
        ) -> str:
            def question() -> Question:
                return Question(prompt or "", bool(chat), _whole(tokens), _whole(seed), bool(greedy))

            return self.respond(group or "", method, question, progress)

        words = " and ".join(self.models.first.group.factors[0].names[:2])
        with gr.Blocks(title=f"{self.name}, before and after", analytics_enabled=False) as page:
            gr.Markdown(INTRODUCTION.format(name=self.name, words=words))
            controls = self._controls(gr)
            prompt, group = controls[0], controls[2]
            button = gr.Button("Compare", variant="primary")
            results = gr.HTML(waiting_html(), elem_id="equi-results", padding=False, min_height=160)
            group.change(self.suggest, [prompt, group], prompt, show_progress="hidden", api_visibility="private")
            one_at_a_time = {"concurrency_limit": 1, "api_visibility": "private"}
            gr.on([button.click, prompt.submit], ask, controls, results, **one_at_a_time)
        return page

    def _controls(self, gr: Any) -> list[Any]:
        """Prompt, chat, group, method, tokens, seed, greedy."""
        models = self.models
        prompt = gr.Textbox(models.suggest(models.group), label="Prompt", lines=2, max_length=MOST_LETTERS)
        chat = gr.Checkbox(
            False,
            label="Chat message",
            info="The prompt is a message to the model, formatted by its chat template.",
            visible=has_chat(models.first.tokenizer),
        )
        with gr.Row():
            group = gr.Dropdown(
                models.groups,
                value=models.group,
                label="Group",
                info="Who is exchanged. You can write a product, such as gender*race.",
                allow_custom_value=True,
                min_width=260,
            )
            method = gr.Dropdown(
                models.methods,
                value=models.method,
                label="Method",
                info="How the model becomes equivariant.",
                min_width=260,
            )
        with gr.Accordion("Settings", open=False):
            tokens = gr.Slider(1, MOST_TOKENS, value=20, step=1, label="Tokens per text")
            seed = gr.Number(0, precision=0, minimum=0, label="Seed", info="The same seed gives the same texts again.")
            greedy = gr.Checkbox(False, label="Always take the most probable token")
        return [prompt, chat, group, method, tokens, seed, greedy]


def _launching() -> dict[str, Any]:
    """Return how the page is served, whatever it shows."""
    from starlette.middleware import Middleware  # noqa: PLC0415  comes with Gradio

    return {
        "prevent_thread_lock": True,
        "quiet": True,
        "inbrowser": False,
        "footer_links": ["gradio", "settings"],
        "app_kwargs": {"middleware": [Middleware(_FromHereAlone)]},
        "max_file_size": "1kb",  # there is nothing to upload
        "enable_monitoring": False,
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
    }


def _theme() -> Any:
    """Return Gradio's theme with fonts of the machine, because others would be fetched, and with readable greys."""
    import gradio as gr  # noqa: PLC0415

    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Default(primary_hue="blue", **fonts).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
    )


class _FromHereAlone:
    """Tells the browser to load nothing from other servers."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"content-security-policy", _POLICY)]
            await send(message)

        await self.app(scope, receive, answer if scope["type"] == "http" else send)


def _whole(number: float | None) -> Any:
    """Return a whole number from the page as an int, and anything else as it is, for a later check to refuse."""
    return int(number) if isinstance(number, float) and number.is_integer() else number
