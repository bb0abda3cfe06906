"""`hf-equi audit`."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from children import python_with_package
from datasets import Dataset
from small_models import base_model, chat_tokenizer, tokenizer
from transformers import BertConfig, BertForSequenceClassification

import hf_equi
from hf_equi import DemographicGroup, RegardScorer
from hf_equi.cli.methods import DEFAULT_METHODS, METHODS
from hf_equi.cli.options import Loading
from hf_equi.errors import ConfigurationError, HfEquiWarning

LABELS = ("negative", "neutral", "positive")
SHORT = ("--max-new-tokens", "3", "-n", "2", "-p", "the {demographic} was", "-p", "the {demographic} worked as")
LIKELY = ("--methods", "base,EquiLM")


@pytest.fixture(scope="module")
def regard(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random classifier with its tokenizer."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer()),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        initializer_range=1.0,
        id2label=dict(enumerate(LABELS)),
        label2id={name: place for place, name in enumerate(LABELS)},
    )
    path = tmp_path_factory.mktemp("regard")
    BertForSequenceClassification(config).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


@pytest.fixture
def audit(run, folder, regard, tmp_path):
    """The command on the small models."""
    return lambda *arguments: run(
        "audit", "-m", folder, "--scorer", regard, "--out", tmp_path / "audit", *SHORT, *arguments
    )


@pytest.fixture
def _no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plots, which take seconds."""

    def write(folder: Path, *_: object) -> Path:
        (folder / "report.html").write_text("", encoding="utf-8")
        return folder / "report.html"

    monkeypatch.setattr("hf_equi.fairness.report.write_report", write)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_no_plots")
def test_a_pipe_gets_plain_lines_that_end_with_the_report(audit, tmp_path) -> None:
    result = audit(*LIKELY)
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert result.status == 0
    assert lines[0] == ["model", "figure", "value", "low", "high"]
    assert lines[-1] == ["report", str(tmp_path / "audit" / "report.html")]
    assert {line[0] for line in lines[1:-1]} == {"base", "EquiLM"}
    assert ["EquiLM", "consistency", "1.000", "1.000", "1.000"] in lines
    assert ["base", "verdict", "different", "–", "–"] in lines
    (p_value,) = [line for line in lines if line[:2] == ["base", "parity_gap_p_value"]]
    assert p_value[3:] == ["–", "–"]
    assert "texts drawn and scored in" in result.err


@pytest.mark.usefixtures("_no_plots")
def test_a_terminal_gets_a_table_that_ends_with_the_report(audit, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    result = audit(*LIKELY)
    assert result.status == 0
    for text in (
        "base",
        "EquiLM",
        "verdict",
        "different",
        "parity gap",
        "noise floor",
        "16 texts; in brackets 95 % intervals",
        "───",
    ):
        assert text in result.out
    assert result.out.splitlines()[-1] == f"report: {tmp_path / 'audit' / 'report.html'}"


@pytest.mark.usefixtures("_no_plots")
def test_json_is_one_document_with_an_interval_beside_each_figure(audit, tmp_path) -> None:
    result = audit("--json", "--seed", "3", "-p", "known for a MAN", "--multi-token", "skip")
    document = json.loads(result.out)
    assert [entry["model"] for entry in document["models"]] == list(DEFAULT_METHODS)
    for entry in document["models"]:
        assert entry["samples"] == 8
        for name in ("group_gap", "consistency", "parity_gap", "mean_regard", "perplexity", "masked_parity_gap"):
            low, high = entry[f"{name}_interval"] or (None, None)
            assert (entry[name] is None) == (low is None) == (high is None)
        assert (entry["group_gap"] is None) == ("zero" in entry["model"])
    assert document["models"][1]["group_gap"] <= 1e-5 < document["models"][0]["group_gap"]
    assert (document["seed"], document["settings"]["samples_per_prompt"]) == (3, 2)
    assert document == json.loads((tmp_path / "audit" / "summary.json").read_text())
    assert "note: in 'known for a MAN' words of the group stay where they are: 'MAN'; hf-equi" in result.err
    assert result.err.endswith(f"note: the report is at {tmp_path / 'audit' / 'report.html'}\n")
    samples = Dataset.from_parquet(str(tmp_path / "audit" / "samples.parquet"), cache_dir=str(tmp_path))
    assert len(samples) == 5 * (4 + 4 + 2)


@pytest.mark.usefixtures("_no_plots")
def test_the_neutral_words_and_the_action_are_those_given(audit, tmp_path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("nurse\n\ndriver\n")
    methods = ("--methods", "R-EquiLM,EquizeroLM", "--neutral", words, "--action", "words", "--beam-length", "2")
    document = json.loads(audit(*methods, "--json").out)
    relaxed, search = document["settings"]["models"]
    assert search["action"] == "words"
    assert search["beam_length"] == 2
    assert document["models"][1]["consistency"] == 1.0
    words.write_text("nurse\n")
    result = audit(*methods, "--json")
    assert (result.status, "other settings (models)" in result.err) == (2, True)
    assert relaxed["class"] == "EquiLM"


@pytest.mark.usefixtures("_no_plots")
def test_methods_of_one_row_can_be_audited(audit) -> None:
    document = json.loads(audit("--methods", "base,mixture,canonical", "--json").out)
    base, *exact = document["models"]
    assert [entry["model"] for entry in exact] == ["mixture", "canonical"]
    assert [entry.get("method") for entry in document["settings"]["models"]] == [None, "mixture", "canonical"]
    assert base["group_gap"] > 1e-3
    for entry in exact:
        assert entry["group_gap"] <= 1e-5
        assert (entry["consistency"], entry["masked_parity_gap"]) == (1.0, 0.0)
        assert entry["perplexity"] > 1


@pytest.mark.usefixtures("_no_plots")
def test_a_search_by_a_classifier_in_a_folder_is_audited_for_its_card(run, regard, tmp_path) -> None:
    """The checkpoint does not store the classifier, so the command names it."""
    group = DemographicGroup([["man", "woman"], ["he", "she"]])
    settings = {"tokenizer": tokenizer(), "scorer": RegardScorer(regard), "beam_length": 2}
    with pytest.warns(HfEquiWarning, match="the checkpoint does not name"):
        hf_equi.symmetrize(base_model(), group, "equizero", **settings).save_pretrained(tmp_path / "zero")
    how = ("--methods", "EquizeroLM", "--beam-length", "2", "--out", tmp_path / "audit", *SHORT)
    assert run("audit", "-m", tmp_path / "zero", "--scorer", regard, *how).status == 0
    result = run("publish", tmp_path / "zero", "me/zero", "--audit", tmp_path / "audit", "--dry-run")
    assert (result.status, "## Audit" in result.out, regard in result.out) == (0, True, False)


@pytest.mark.usefixtures("_no_plots")
def test_several_classifiers_score_the_texts_and_the_first_is_minimised(audit, regard, monkeypatch) -> None:
    more = ("--methods", "base,EquizeroLM", "--scorer", f"{regard}:Negative", "--scorer", "demo:positive")
    document = json.loads(audit(*more, "--json").out)
    base, search = document["models"]
    for name in ("negative", "positive"):
        assert base[f"{name}:parity_gap_interval"] is not None
        assert search[f"{name}:masked_parity_gap"] == 0.0
    assert list(document["settings"]["scorers"]) == ["regard", "negative", "positive"]
    assert document["settings"]["models"][1]["scorer"] == document["settings"]["scorer"]
    assert "label" not in document["settings"]["scorer"]
    assert document["about"]["scorers"]["positive"]["toy"] is True
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    again = audit(*more)
    assert "negative: parity gap, words hidden" in again.out
    assert "positive: mean P(positive)" in again.out
    assert "was asked to continue each of 2 prompts about" in again.out
    assert "the classifier demo has 0.9 million parameters. It is a toy" in again.err


@pytest.mark.usefixtures("_no_plots")
def test_words_of_several_tokens_move_as_words(audit, tmp_path) -> None:
    path = tmp_path / "group.json"
    path.write_text(json.dumps({"equality": [["policeman", "policewoman"]]}))
    options = ("-g", path, "--methods", "EquizeroLM,mixture,canonical", "--json")
    refused = audit(*options)
    assert (refused.status, "nothing would move" in refused.err) == (2, True)
    moved = audit(*options, "--action", "words", "-p", "the policeman said")
    assert [entry["consistency"] for entry in json.loads(moved.out)["models"]] == [1.0] * 3
    assert "stay where they are" not in moved.err
    refused = audit("-g", path, "--methods", "EquiLM", "--action", "words", "--multi-token", "skip")
    assert (refused.status, "nothing would move" in refused.err) == (2, True)


@pytest.mark.usefixtures("_no_plots")
def test_words_that_stay_are_named_wherever_a_method_acts_on_tokens(audit) -> None:
    """Also beside a search on words, and for a method that is named in another case. Each thing is said once."""
    asked = ("--methods", "equilm,r-equilm,equizerolm", "--action", "words", "--multi-token", "skip")
    result = audit(*asked, "-n", "1", "-p", "known for a MAN")
    assert {line.split("\t")[0] for line in result.out.splitlines()[1:-1]} == {"EquiLM", "R-EquiLM", "EquizeroLM"}
    assert result.err.count("words of gender stay as they are with this tokenizer") == 1
    assert result.err.count("neutral words are not single tokens, so they count as general") == 1
    assert "note: in 'known for a MAN' words of the group stay where they are: 'MAN'; hf-equi" in result.err


@pytest.mark.usefixtures("_no_plots")
def test_braces_that_are_no_place_are_read_as_they_are(audit, tmp_path) -> None:
    code = 'f"{name}" {{demographic}}'
    result = audit("--methods", "base", "-n", "1", "-p", "the {person} said", "-p", code)
    assert result.status == 0
    assert (
        f"note: Braces in 'the {{person}} said', '{code}' are read as they are. The placeholder for a demographic is "
        "written {demographic}.\n"
    ) in result.err
    samples = Dataset.from_parquet(str(tmp_path / "audit" / "samples.parquet"), cache_dir=str(tmp_path))
    assert {"the {person} said", 'f"{name}" {woman}'} <= set(samples["prompt"])


def test_names_that_do_not_move_are_told_before_a_text_is_drawn(audit, monkeypatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_equi.cli.audit.Audit.run", stop)
    result = audit("-g", '{"equality": [["he", "she"]], "names": ["doctor", "nurse"]}')
    assert result.status == 130
    assert "note: the group turns the name 'doctor' into 'doctor', not into 'nurse'" in result.err


@pytest.mark.usefixtures("_no_plots")
def test_a_chat_is_audited_by_its_answers(run, chat_folder, regard, tmp_path, monkeypatch) -> None:
    """Its turns are settings of the audit, and texts are the message and the answer."""
    monkeypatch.setattr("hf_equi.fairness.work._LONG", 0.0)
    file = tmp_path / "own.jsonl"
    file.write_text('{"prompt": "the {demographic}\\nwas"}\n{"messages": [{"role": "user", "content": "she"}]}\n')
    how = ("audit", "-m", chat_folder, "--scorer", regard, "--out", tmp_path / "audit", "--methods", "base,EquiLM")
    how = (*how, "--max-new-tokens", "3", "-n", "2", "--prompts", file, "--chat", "--system")
    result = run(*how, "a song", "--csv")
    header, *rows = csv.reader(io.StringIO(result.out))
    assert (result.status, header) == (0, ["model", "figure", "value", "low", "high"])
    figures = {(model, name): value for model, name, value, *_ in rows}
    assert float(figures["EquiLM", "consistency"]) == 1.0
    assert float(figures["EquiLM", "group_gap"]) <= 1e-5 < float(figures["base", "group_gap"])
    assert "note: 12 texts in 18 rows of the base model: about " in result.err
    samples = Dataset.from_parquet(str(tmp_path / "audit" / "samples.parquet"), cache_dir=str(tmp_path))
    for row in samples.filter(lambda row: row["template"] == "the {demographic}\nwas"):
        answer = chat_tokenizer().decode(row["tokens"][row["prompt_tokens"] :], skip_special_tokens=True)
        assert row["text"] == f"the {row['demographic']}\nwas\n{answer}"
    settings = json.loads((tmp_path / "audit" / "settings.json").read_text())
    assert (settings["chat"]["system"], settings["decoding"]["batch_size"]) == (["a song"], 256)
    refused = run(*how, "so")
    assert (refused.status, "an audit with other settings (chat)" in refused.err) == (2, True)
    refused = run(*how, "so", "--methods", "EquizeroLM", "--action", "words", "--out", tmp_path / "words")
    assert (refused.status, "acts on words, which would lose the turns" in refused.err) == (2, True)


@pytest.mark.usefixtures("_no_plots")
def test_what_was_stopped_goes_on(audit, monkeypatch) -> None:
    from hf_equi.fairness.auditing import run as module

    units, run_unit = iter(range(10)), module.run_unit

    def stopped(*arguments):
        if next(units) == 2:
            raise KeyboardInterrupt
        return run_unit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "run_unit", stopped)
        result = audit(*LIKELY)
    assert (result.status, result.out) == (130, "")
    assert ", and the same command continues from there" in result.err
    result = audit(*LIKELY)
    assert (result.status, "note: 8 texts drawn" in result.err) == (0, True)
    assert "note: 8 of 16 texts were drawn before; the audit continues from there" in result.err
    result = audit(*LIKELY)
    assert "note: all 16 texts were drawn before; figures and report are made again" in result.err
    assert "texts drawn and scored" not in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--methods", "base,EquiML"),
            "--methods='EquiML' is not known: did you mean 'EquiLM'? Use one of 'base', 'EquiLM'",
        ),
        (("--methods", ","), "--methods ',' names no method"),
        (("--prompt-set", "shang"), "prompt_set='shang' is not known"),
        (("--scorer", "/nowhere"), "The scorer '/nowhere' could not be loaded"),
        (("--scorer", "demo:toxic"), "label='toxic' is not known: use one of 'negative', 'neutral', 'positive'"),
        (("--scorer", "demo:"), "The scorer 'demo:' names no label"),
        (("--neutral", "/nowhere"), "The neutral words /nowhere cannot be read"),
        (("--neutral", os.devnull), "holds no words"),
        (("--neutral", "~nemo/words"), "The home folder of '~nemo/words' is not known"),
        (("--out", "~nemo/audit"), "The home folder of '~nemo/audit' is not known"),
        (("--action", "letters"), "'letters'"),
        (("--out", __file__), "cannot be written"),
        (("--out", Path(__file__).parent), "but no settings.json of an audit: choose an empty or a new folder"),
        (("--max-new-tokens", "127"), "goes beyond the 128 positions"),
        (("-g", "agee"), "preset='agee' is not known"),
        (("-n", "0"), "--samples"),
        (("-n", "1000000000"), "-n 1000000000 takes about "),
        (("-p", ""), "A --prompt is empty"),
        (("--prompts", "/nowhere"), "The prompts /nowhere cannot be read: No such file"),
        (("--system", "be brief"), "--system is a chat message: add --chat"),
        (("--chat",), "The tokenizer of this model has no chat template"),
        (("--device", "cuda:99"), "--device='cuda:99' names GPU 99, which does not exist"),
        (("--revision", "v2"), "--revision 'v2' applies to a model on the Hub"),
        (("--batch-size", "0"), "--batch-size"),
        (("-p", "The {demographic} \udc80 said"), "is not UTF-8 text"),
    ],
)
def test_a_bad_argument_gets_one_line_and_status_2(audit, arguments, message) -> None:
    result = audit(*arguments)
    errors = [line for line in result.err.splitlines() if not line.startswith("hf-equi: note: ")]
    assert (result.status, result.out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("hf-equi: error: ")
    assert message in errors[0]


@pytest.mark.slow
def test_two_processes_give_what_one_gives(run, folder, regard, tmp_path) -> None:
    arguments = ["audit", "-m", folder, "--scorer", regard, *SHORT, *LIKELY, "--json"]
    alone = run(*arguments, "--out", tmp_path / "one")
    settings = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launcher = [python_with_package(), "-m", "accelerate.commands.launch", *settings, "--dynamo_backend", "no"]
    child = subprocess.run(
        [*launcher, "--main_process_port", "0", "-m", "hf_equi.cli", *arguments, "--out", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert child.returncode == 0, child.stderr
    assert timeless(child.stdout) == timeless(alone.out)
    assert [len((tmp_path / "two" / f"samples-{r}.jsonl").read_text().splitlines()) for r in (0, 1)] == [2, 2]
    for name in ("settings.json", "samples.parquet"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes(), name
    for name in ("summary.json", "report.html"):
        two, one = (timeless((tmp_path / folder / name).read_text(encoding="utf-8")) for folder in ("two", "one"))
        assert two == one, name


def timeless(text: str) -> str:
    """Without the seconds that texts took, which differ from run to run."""
    text = re.sub(r'"seconds_per_text": \{[^}]*\}', "", text)
    return re.sub(r"(?<=\s)\S{1,20} s per text instead of \S{1,20} s;", "", text)  # a plot is a word of a megabyte


def test_processes_that_share_the_work_do_not_share_a_device() -> None:
    from hf_equi.cli.audit import _of_process

    many, one = (SimpleNamespace(num_processes=count, device=torch.device("cuda:1")) for count in (2, 1))
    assert _of_process(Loading(), many).device == "cuda:1"
    assert _of_process(Loading(device="cpu"), many).device == "cpu"
    assert _of_process(Loading(max_memory="cpu=1GiB"), one).device is None
    for options in (Loading(device="cuda"), Loading(max_memory="cpu=1GiB")):
        with pytest.raises(ConfigurationError, match="Each of the 2 processes has its own device"):
            _of_process(options, many)


def test_the_models_share_one_base(folder) -> None:
    from hf_equi.cli.audit import Audited, Search, _build, _relax

    group = DemographicGroup([["man", "woman"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer())
    asked = Audited(folder, None, ",".join(METHODS), None, Search())
    groups = group, _relax(group, ["nurse"])
    models = _build(tuple(METHODS), lm, groups, asked, lambda texts: torch.zeros(1))
    assert [getattr(model, "base", model) is base_model() for model in models.values()] == [True] * len(METHODS)
    assert [name for name, model in models.items() if getattr(model, "group", group).relaxed] == [
        "R-EquiLM",
        "R-EquizeroLM",
    ]
    assert {name: model.config.method for name, model in models.items() if name != "base"} == {
        name: audited.method for name, audited in METHODS.items() if name != "base"
    }
    assert _relax(group, None).role("doctor") == "neutral"
    assert _relax(group.relax(general=["pregnant"]), None).role("doctor") == "neutral"
