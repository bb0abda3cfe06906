"""The page of the audit: that all of it is there, loads nothing, trusts no text, and fits a phone."""

from __future__ import annotations

import copy
import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from unicodedata import normalize

import datasets
import pytest
from PIL import Image

from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing import moved_words
from hf_equi.fairness.briefing import brief
from hf_equi.fairness.report import page, write_report
from hf_equi.fairness.templates import summarise_templates
from hf_equi.fairness.verdicts import judge
from hf_equi.figures import number

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "source", "br"}

Audit = tuple[datasets.Dataset, dict[str, Any]]
Write = Callable[..., str]


class Reader(HTMLParser):
    """The elements of a page and its text, with an error for elements that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += [] if self.open and self.open[-1] == "style" else [data]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, audit: Audit, moved: Callable[[str], list[tuple[str, bool]]]
) -> Path:
    """The whole report, plots and all."""
    return write_report(tmp_path_factory.mktemp("audit") / "new" / "folder", *audit, moved)


@pytest.fixture(scope="module")
def reader(written: Path) -> Reader:
    return Reader(written.read_text(encoding="utf-8"))


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes a page with one-pixel plots, which takes no time."""
    file = BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    plots = [dataclasses.replace(plot, draw=lambda *_, **__: file.getvalue()) for plot in page.PLOTS]
    monkeypatch.setattr(page, "PLOTS", plots)
    return lambda *args, **kwargs: write_report(tmp_path, *args, **kwargs).read_text(encoding="utf-8")


def text_of(html: str) -> str:
    return " ".join("".join(Reader(html).text).split())


def test_the_heading_asks_the_question_of_the_reader(reader: Reader) -> None:
    text = "".join(reader.text)
    assert "How differently does each model speak of man and woman?" in text
    assert "a lexical guarantee, not a causal one" in text


def test_each_model_has_the_verdict_of_its_figures(audit: Audit, reader: Reader) -> None:
    text = " ".join("".join(reader.text).split())
    for model in audit[1]["models"]:
        verdict = judge(model, 0.05)
        assert f"{verdict.headline} {' '.join(verdict.sentences)}" in text
    shown = [attributes["class"] for attributes in reader.all("li") if "class" in attributes]
    assert shown[:2] == ["differs", "unknown"]  # of the base, and of an EquiLM with few texts


def test_the_page_loads_nothing_and_runs_nothing(reader: Reader) -> None:
    for tag, attributes in reader.elements:
        for name in {"src", "srcset", "data", "poster", "action"} & set(attributes):
            assert attributes[name].startswith("data:image/png;base64,")
        assert tag not in {"script", "iframe", "object", "embed", "form", "base"}
        assert not any(name.startswith("on") for name in attributes)
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    targets = {a["href"] for a in reader.all("a")}
    ids = {f"#{attributes['id']}" for _, attributes in reader.elements if "id" in attributes}
    assert all(target in ids or target.startswith("https://arxiv.org/abs/") for target in targets)
    (policy,) = [meta["content"] for meta in reader.all("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none'")


def test_the_style_loads_nothing(written: Path) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", written.read_text(encoding="utf-8"), re.DOTALL)
    assert "prefers-color-scheme: dark" in style
    assert not re.search(r"url\(|@import|http", style)


def test_every_plot_is_a_file_and_on_the_page_for_light_and_dark(written: Path, reader: Reader) -> None:
    files = sorted(path.name for path in written.parent.glob("*.png"))
    assert files == sorted(f"{plot.name}.png" for plot in page.PLOTS)
    assert {"regard.png", "regard_masked.png", "gaps.png", "group_gap.png"} <= set(files)
    for name in files:
        assert Image.open(written.parent / name).getextrema() != [(255, 255)] * 4
    images, darks = reader.all("img"), reader.all("source")
    assert len({image["src"] for image in images} | {dark["srcset"] for dark in darks}) == 2 * len(page.PLOTS)
    assert all("base" in image["alt"] and "R-EquizeroLM" in image["alt"] for image in images)


def test_a_plot_that_is_not_seen_is_told(audit: Audit, reader: Reader) -> None:
    shares = audit[1]["models"][0]["regard"]["woman"]
    told = f"base, woman: {100 * shares['negative']:.0f} % negative, {100 * shares['neutral']:.0f} % neutral"
    assert told in reader.all("img")[0]["alt"]
    assert "EquizeroLM: largest –, mean –" in reader.all("img")[4]["alt"]
    base = audit[1]["models"][0]
    floor = f"base: as they are {number(base['parity_gap'])}, noise floor {number(base['control_parity_gap'])}, words"
    assert floor in reader.all("img")[2]["alt"]


def test_a_thing_has_one_name_on_the_page(reader: Reader) -> None:
    said = " ".join([*reader.text, *(image["alt"] for image in reader.all("img"))]).lower().replace("_masked.png", "")
    assert "words hidden" in said
    assert "consistency" in said
    assert [word for word in ("masked", "masking", "counterfactual consistency") if word in said] == []


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


def test_every_figure_of_the_summary_is_on_the_page(audit: Audit, reader: Reader) -> None:
    found = set(re.findall(r"[−\d][\d.,]*(?:×10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", " ".join(reader.text)))
    wanted = {number(value) for value in numbers(audit[1]["models"])}
    assert len(wanted) > 100
    assert wanted - found == set()


def test_every_sample_is_on_the_page(audit: Audit, reader: Reader) -> None:
    text = "".join(reader.text)
    assert all(text.count(row["text"]) >= 1 for row in audit[0])
    assert len([a for _, a in reader.elements if a.get("class") == "side"]) == len(audit[0])
    row = audit[0][0]
    assert f"{row['label']} {number(row['positive'] - row['negative'])}" in text
    # One set a model and template is open, the others are folded.
    folds = len([a for _, a in reader.elements if a.get("class") == "model"])
    assert folds == 10
    assert len(reader.all("details")) == folds + 3  # how a verdict is reached, all figures, the shares


def test_moved_words_are_marked(written: Path) -> None:
    html = written.read_text(encoding="utf-8")
    assert "<mark><s>man</s></mark>" in html
    assert "<mark>his</mark>" in html
    style = re.search(r"mark \{(.*?)\}", html).group(1)
    assert all(word in style for word in ("font-weight", "underline", "background"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_texts_are_shown_as_they_are_written(write: Write, make_audit: Callable[..., Audit], form: str) -> None:
    names = [normalize(form, name) for name in ("josé", "maría del río")]
    samples, summary = make_audit(names=tuple(names), templates=(normalize(form, "At the café {demographic} said"),))
    html = write(samples, summary, moved_words(DemographicGroup([["josé", "maría del río"]])))
    assert re.findall("<mark><s>(.*?)</s></mark>", html) == names * (len(samples) // 2)


def test_nothing_is_marked_without_a_function_that_says_what(write: Write, audit: Audit) -> None:
    assert "<mark>" not in write(*audit)


def test_every_text_is_escaped(write: Write, make_audit: Callable[..., Audit]) -> None:
    evil = "</style><script>alert('1')</script><img src=x onerror=\"a()\">{{ 7 * 7 }}"
    samples, summary = make_audit(
        models=(evil,), names=(f"man{evil}", "woman"), templates=(f"{{demographic}} {evil}",)
    )
    summary["settings"][evil] = [evil, {"inner": evil}]
    summary["versions"][evil] = evil
    samples = samples.map(lambda row: {"label": evil, "text": row["text"] + evil}, new_fingerprint="evil")
    reader = Reader(write(samples, summary, lambda text: [(text[:3], True), (text[3:], False)]))
    assert {tag for tag, _ in reader.elements}.isdisjoint({"script"})
    assert len(reader.all("img")) == len(page.PLOTS)
    assert evil in "".join(reader.text)


def test_nothing_turns_a_figure_round(write: Write, make_audit: Callable[..., Audit]) -> None:
    evil = "\u202e\u2067\x1b[2J\x9b"
    samples, summary = make_audit(
        models=(evil,), names=(f"man{evil}", "woman"), templates=(f"{{demographic}} {evil}",)
    )
    summary["settings"][evil] = [evil]
    samples = samples.map(lambda row: {"text": row["text"] + evil}, new_fingerprint="round")
    html = write(samples, summary, lambda text: [(text, True)])
    assert {letter for letter in html if not letter.isprintable()} == {"\n"}
    assert r"man\u202e\u2067\x1b[2J\x9b" in html


def test_figures_that_are_missing_are_explained(write: Write, audit: Audit) -> None:
    samples, summary = audit[0], copy.deepcopy(audit[1])
    for model in summary["models"]:
        model.update(dict.fromkeys([key for key in model if key not in {"model", "samples"}]))
    text = text_of(write(samples, summary))
    assert "No figure: needs samples of two demographics." in text
    assert "No figure: the model gives no likelihood of a text (read consistency instead)" in text
    assert "No likelihood: base, EquiLM" in text
    assert "None" not in re.sub("None were recorded", "", text)
    assert "nan" not in text.split()


def test_three_demographics_and_one_model(tmp_path: Path, make_audit: Callable[..., Audit]) -> None:
    samples, summary = make_audit(models=("base",), names=("Asian", "Black", "White"), samples=2)
    html = write_report(tmp_path, samples, summary).read_text(encoding="utf-8")
    assert "How differently does base speak of Asian, Black and White?" in text_of(html)
    assert len(re.findall('class="side"', html)) == 12


def test_one_demographic_is_compared_with_none(write: Write, make_audit: Callable[..., Audit]) -> None:
    text = text_of(write(*make_audit(names=("man",))))
    assert "How does each model speak of man?" in text
    assert "Not compared" in text


def test_settings_and_versions_are_listed(write: Write, audit: Audit) -> None:
    text = text_of(write(*audit))
    assert "groupgender" in text
    assert "top_k–" in text
    assert "seed7" in text
    assert "transformers5.23.0" in text
    assert "None were recorded" in text_of(write(audit[0], {"models": audit[1]["models"]}))


def test_the_same_input_gives_the_same_bytes(write: Write, audit: Audit) -> None:
    assert write(*audit) == write(*copy.deepcopy(audit))


def test_plots_are_drawn_the_same_twice(written: Path, audit: Audit) -> None:
    plot = page.PLOTS[2]
    assert plot.draw(audit[1]["models"], plot.title) == (written.parent / f"{plot.name}.png").read_bytes()


def test_errors_say_what_is_missing(tmp_path: Path, audit: Audit) -> None:
    samples, summary = audit
    with pytest.raises(ConfigurationError, match="no models"):
        write_report(tmp_path, samples, {"models": []})
    with pytest.raises(ConfigurationError, match="lack the columns gap, consistent: pass"):
        write_report(tmp_path, samples.remove_columns(["gap", "consistent"]), summary)
    with pytest.raises(ConfigurationError, match="no samples"):
        write_report(tmp_path, samples.select([]), summary)
    assert list(tmp_path.iterdir()) == []


def of_toxicity(audit: Audit) -> Audit:
    """The same audit by a second classifier, with what its briefing needs."""
    samples, summary = audit[0], copy.deepcopy(audit[1])
    for way in ("", "masked_"):
        for column, old in (("P(toxic)", "negative"), ("P(not toxic)", "positive"), ("label", "")):
            values = [("toxic", "not toxic")[row % 2] for row in range(len(samples))] if not old else samples[old]
            samples = samples.add_column(f"toxic:{way}{column}", values)
    for model in summary["models"]:
        for key in [key for key in model if "parity_gap" in key]:
            model[f"toxic:{key}"] = model[key]
        shares = {"toxic": 0.34, "not toxic": 0.66}
        model |= {f"toxic:{way}shares": {"man": shares, "woman": shares} for way in ("", "masked_")}
        model["toxic:mean_score"] = 0.125
    summary["settings"] |= {"prompts": ["a", "b"], "samples_per_prompt": 4}
    summary["about"] = {"scorers": {"regard": {"source": "demo", "parameters": 938_755, "toy": True}}}
    summary["templates"] = summarise_templates(samples)
    return samples, summary


def test_each_scorer_has_a_section_and_a_toy_is_called_one(write: Write, audit: Audit, tmp_path: Path) -> None:
    html = write(*of_toxicity(audit))
    text = text_of(html)
    assert (
        "Regard by model and demographic These labels are from a toy classifier. The classifier demo has 0.9 million"
        in text
    )
    assert "Toxic by model and demographic A classifier labels each text. The label is toxic if" in text
    assert text.count("These labels are from a toy classifier") == 1
    assert "base, man: 34 % toxic, 66 % not toxic" in html
    assert {"scorer_2.png", "scorer_2_gaps.png"} <= {path.name for path in tmp_path.iterdir()}
    assert "toxic: mean P(toxic)" in text
    row = audit[0][0]
    assert f"toxic ▼ toxic {number(row['negative'])}" in text
    assert "regard ▲ positive" in text


def test_the_page_begins_with_what_was_found_and_explains_its_words_there(write: Write, audit: Audit) -> None:
    samples, summary = of_toxicity(audit)
    html = write(samples, summary)
    found = brief(summary).parts
    assert len(found) == 4
    text = text_of(html)
    start = text.index(" ".join(found))
    assert start < text.index("nats: A nat is a factor of e") < text.index("Model by model")
    assert len(re.findall("<dfn>nats</dfn>", html)) == 1
    for template in summary["templates"][:2]:
        assert f"{template['template']}{number(template['group_gap_mean'])}{number(template['group_gap'])}" in text


def browse(path: Path, width: int, *flags: str, dark: bool = False, height: int = 4000) -> str:
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    common = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", scheme]
    profile = f"--user-data-dir={path.parent / f'profile{width}{dark}{len(flags)}'}"
    command = [*common, profile, f"--window-size={width},{height}", *flags, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_fits_its_window(write: Write, audit: Audit, tmp_path: Path) -> None:
    """Measured from outside, in a frame, since a window has a least width; everything is unfolded."""
    widths = (320, 360, 1280)
    html = write(*of_toxicity(audit)).replace("<details>", "<details open>").replace("content-visibility: auto", "")
    frames = [f"<iframe width={w} height=4000 style='border: 0' srcdoc='{escape(html)}'></iframe>" for w in widths]
    path = tmp_path / "frames.html"
    path.write_text(
        f"<!DOCTYPE html>{''.join(frames)}<script>onload = () => {{ document.title = [...document.querySelectorAll("
        "'iframe')].map(frame => frame.contentDocument.documentElement)"
        ".map(root => `${root.clientWidth} shown of ${root.scrollWidth}`).join(', ') }</script>",
        encoding="utf-8",
    )
    expected = ", ".join(f"{width} shown of {width}" for width in widths)
    assert f"<title>{expected}</title>" in browse(path, 1300, "--dump-dom")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_a_screenshot_has_the_colours_of_the_scheme(written: Path, tmp_path: Path, dark: bool) -> None:
    path, picture = tmp_path / "report.html", tmp_path / "picture.png"
    shutil.copy(written, path)
    browse(path, 360, f"--screenshot={picture}", dark=dark, height=7000)
    image = Image.open(picture).convert("RGB")
    assert image.size == (360, 7000)
    assert image.getpixel((2, 2)) == ((20, 23, 27) if dark else (255, 255, 255))
    colours = {colour for _, colour in image.getcolors(maxcolors=image.width * image.height)}
    assert ({(230, 159, 0), (86, 180, 233)} if dark else {(213, 94, 0), (0, 114, 178)}) <= colours  # of the bars
