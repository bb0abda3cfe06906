"""Train a regard classifier: is a sentence negative, neutral or positive towards its subject (Sheng et al. 2019)?

    python examples/train_regard.py --data DIR --encoder NAME_OR_FOLDER --output runs/regard_teacher
    python examples/train_regard.py --data DIR --distill-from runs/regard_teacher/model --output runs/demo_regard

The first line finetunes an encoder on the human labels of `train.tsv` and on the labels that the authors' own large
classifier gave to generations, with the subject masked as XYZ. A tenth of the generations is held out. It trains once
for each seed. Of these models and the mean of their weights, it keeps the one with the highest accuracy on dev (ties:
the lower loss on dev). Test is only reported.

The second line teaches a BERT of two layers, with its own WordPiece vocabulary, to give the same probabilities as the
first model. It learns on the human labels and on generations without labels: masked, as written, about another
subject, and cut short.

Nothing trains on dev, on test or on a generation that is held out, nor on a text that counts as one of theirs
(`Overlap` in `regard_data.py`). A killed run resumes at its last checkpoint. What an earlier run left is used only if
it was made from the same texts, settings and weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from data import add_data_argument, require
from machine import Clock, add_threads_argument, fix_arithmetic
from regard_data import (
    LABELS,
    MASK,
    prefix,
    put_subject,
    read_labelled,
    student_texts,
    teacher_texts,
    wilson,
)
from regard_training import LENGTH, digest_weights, fit, probabilities, rows_of, smooth, teacher_outputs
from tokenizers import BertWordPieceTokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

NAMES = {"id2label": dict(enumerate(LABELS)), "label2id": {name: i for i, name in enumerate(LABELS)}}


def share(found: Tensor, right: Tensor) -> dict[str, Any]:
    """Return the share of correct argmax labels, with its interval."""
    count = int((found.argmax(-1) == right).sum())
    return {
        "share": round(count / len(right), 4),
        "interval": [round(x, 4) for x in wilson(count, len(right))],
        "count": len(right),
    }


def on_human_labels(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for split in ("dev", "test"):
        texts, labels = zip(*read_labelled(folder / f"{split}.tsv"), strict=True)
        found, right = probabilities(model, tokenizer, texts), torch.tensor(labels)
        report[split] = {**share(found, right), "loss": round(float(cross_entropy(found.log(), right)), 4)}
    return report


def write_report(path: Path, report: dict[str, Any], options: argparse.Namespace) -> None:
    hidden = ("data", "output", "encoder", "distill_from")
    report |= {"settings": {name: value for name, value in vars(options).items() if name not in hidden}}
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


@torch.no_grad()
def read_encoder(name: str, mean_pooling: bool) -> PreTrainedModel:
    """Load the encoder with a new head.

    Sentence encoders were trained to be read at the mean of their tokens, but sequence classifiers read the first
    token. A further layer that attends to all tokens alike brings the mean there, as LN(3 mean + first).
    """
    config = AutoConfig.from_pretrained(name, num_labels=3, **NAMES)
    if mean_pooling and config.model_type != "bert":
        raise SystemExit(
            f"--mean-pooling works only with the layers of BERT, not with those of {config.model_type}: leave it out."
        )
    config.num_hidden_layers += mean_pooling
    model = AutoModelForSequenceClassification.from_pretrained(name, config=config)
    if mean_pooling:
        layer, one = model.bert.encoder.layer[-1], torch.eye(config.hidden_size)
        for part in (layer.attention.self.query, layer.attention.self.key, layer.output.dense):
            part.weight.zero_()
        layer.attention.self.value.weight.copy_(one)
        layer.attention.output.dense.weight.copy_(3 * one)
        model.bert.pooler.dense.weight.copy_(one / 2)
        model.bert.pooler.dense.bias.zero_()
    # A few thousand sentences hold few of the words. The embeddings of the others must stay comparable to theirs.
    model.get_input_embeddings().requires_grad_(False)
    return model


def mean_of(models: Sequence[PreTrainedModel]) -> PreTrainedModel:
    """Return the model with the mean of the weights (Wortsman et al. 2022)."""
    states = [model.state_dict() for model in models]
    mean = copy.deepcopy(models[0])
    mean.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    return mean


def teach(options: argparse.Namespace) -> None:
    """Finetune an encoder, once for each seed."""
    regard = options.data / "regard"
    human, labelled, held_out = teacher_texts(options.data, options.hold_out, options.split_seed)
    if options.smoke:
        human, labelled = human[:64], labelled[:64]
    pairs = labelled + options.human_repeats * human
    tokenizer = AutoTokenizer.from_pretrained(options.encoder, model_max_length=LENGTH, padding_side="right")
    rows = rows_of([text for text, _ in pairs], smooth([label for _, label in pairs], options.smoothing), tokenizer)
    models, ran = {}, {}
    for seed in options.seeds:
        set_seed(0)  # the same head for all seeds, so that the mean of their weights is a model too
        fresh = read_encoder(options.encoder, options.mean_pooling)
        models[str(seed)], ran[str(seed)] = fit(
            fresh,
            tokenizer,
            rows,
            options.output / f"seed_{seed}",
            {"encoder": digest_weights(fresh)},
            head_rate=20 * options.learning_rate,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=32,
            learning_rate=options.learning_rate,
            seed=seed,
        )
    if len(models) > 1:
        models["mean"] = mean_of(list(models.values()))
    texts, labels = zip(*held_out, strict=True)
    found = {
        name: {
            **on_human_labels(model, tokenizer, regard),
            "held_out_teacher_labels": share(probabilities(model, tokenizer, texts), torch.tensor(labels)),
            **ran.get(name, {}),
        }
        for name, model in models.items()
    }
    best = max(found, key=lambda name: (found[name]["dev"]["share"], -found[name]["dev"]["loss"]))
    models[best].save_pretrained(options.output / "model")
    tokenizer.save_pretrained(options.output / "model")
    counts = {"human": len(human), "teacher_labels": len(labelled), "human_repeats": options.human_repeats}
    report = {"training_texts": counts, "seeds": found, "kept": best}
    write_report(options.output / "model" / "training.json", report, options)


def train_vocabulary(texts: Sequence[str], size: int, folder: Path) -> BertTokenizer:
    """Train a lower-case WordPiece vocabulary, with XYZ as one word."""
    if not (folder / "tokenizer.json").exists():
        pieces = BertWordPieceTokenizer(lowercase=True)
        pieces.train_from_iterator([*texts, *[MASK] * 100], vocab_size=size, min_frequency=2, show_progress=False)
        BertTokenizer(
            vocab=pieces.get_vocab(), do_lower_case=True, model_max_length=LENGTH, padding_side="right"
        ).save_pretrained(folder)
    return BertTokenizer.from_pretrained(folder)


@torch.no_grad()
def small_model(tokenizer: BertTokenizer, teacher: PreTrainedModel, teacher_tokenizer: Any, width: int) -> Any:
    """Make a model of two layers. Words start at the mean teacher embedding of their pieces, in principal axes."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=LENGTH,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.1,
        num_labels=3,
        **NAMES,
    )
    model = BertForSequenceClassification(config)
    table = teacher.get_input_embeddings().weight.float()
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    ids = [teacher_tokenizer(name.removeprefix("##"), add_special_tokens=False)["input_ids"] for name in names]
    means = torch.stack([table[i].mean(0) if i else torch.zeros(table.shape[1]) for i in ids])
    axes = torch.linalg.svd(means - means.mean(0), full_matrices=False).Vh[:width]
    start = (means - means.mean(0)) @ axes.T
    model.get_input_embeddings().weight.copy_(start * (config.initializer_range * 2 / start.std()))
    return model


def agreement(teacher: tuple[Any, Any], student: tuple[Any, Any], held_out: Sequence[str]) -> dict[str, Any]:
    """Return how often teacher and student give the same label to texts in several forms."""
    generator = random.Random(1)
    masked = [put_subject(text) for text in held_out]
    forms = {
        "masked": masked,
        "plain": list(held_out),
        "masked_and_cut_short": [prefix(text, generator) for text in masked],
    }
    return {
        name: share(probabilities(*student, form), probabilities(*teacher, form).argmax(-1))
        for name, form in forms.items()
    }


def taught_by(path: Path) -> dict[str, Any]:
    """Return what the card of the small model says of its teacher."""
    if not path.is_file():
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    return {name: report[name] for name in ("training_texts", "kept")}


def distil(options: argparse.Namespace) -> None:
    """Teach a small model the outputs of the larger one."""
    options.seeds, clock = options.seeds[:1], Clock()
    regard = options.data / "regard"
    every = 50 if options.smoke else 1
    human, training, held_out = student_texts(options.data, options.hold_out, options.split_seed, every)
    teacher_tokenizer = AutoTokenizer.from_pretrained(options.distill_from)
    teacher = AutoModelForSequenceClassification.from_pretrained(options.distill_from, dtype=torch.float32)
    options.output.mkdir(parents=True, exist_ok=True)
    given = teacher_outputs(options.output / "targets.pt", teacher, teacher_tokenizer, training, clock)
    human_targets = smooth([label for _, label in human], options.smoothing)
    targets = torch.cat([given["targets"], *[human_targets] * options.human_repeats])
    tokenizer = train_vocabulary(training, options.vocabulary, options.output / f"tokenizer_{options.vocabulary}")
    set_seed(options.seeds[0])
    model, ran = fit(
        small_model(tokenizer, teacher, teacher_tokenizer, options.width),
        tokenizer,
        rows_of(training + options.human_repeats * [text for text, _ in human], targets, tokenizer),
        options.output / "trained",
        {"teacher": given["teacher"]},
        num_train_epochs=options.epochs,
        per_device_train_batch_size=64,
        learning_rate=options.learning_rate,
        seed=options.seeds[0],
    )
    folder = options.output / "model"
    model.half().save_pretrained(folder)
    # Stored in half precision, but loaded in full precision unless the caller asks for something else.
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = json.dumps({**config, "dtype": "float32"}, indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    tokenizer.save_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    readers = ((teacher, teacher_tokenizer), (model, tokenizer))
    report = {
        "parameters": model.num_parameters(),
        "bytes": (folder / "model.safetensors").stat().st_size,
        "training_texts": {"generations": len(training), "human": len(human), "human_repeats": options.human_repeats},
        "held_out_agreement_with_the_teacher": agreement(*readers, held_out),
        **on_human_labels(model, tokenizer, regard),
        "teacher": taught_by(options.distill_from / "training.json"),
        "machine": ran["machine"],
        "seconds": {clock: given["seconds"][clock] + ran["seconds"][clock] for clock in ran["seconds"]},
    }
    write_report(folder / "training.json", report, options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_argument(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--encoder", help="name or folder of the encoder to finetune")
    what.add_argument(
        "--distill-from", type=Path, metavar="FOLDER", help="a regard classifier that teaches a small one"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/regard"), help="checkpoints and the model kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds; --distill-from uses the first")
    parser.add_argument("--epochs", type=float, help="epochs (default: 3, or 6 with --distill-from)")
    parser.add_argument("--learning-rate", type=float, help="default: 5e-5, or 1e-3 with --distill-from")
    parser.add_argument(
        "--human-repeats", type=int, default=3, help="how many times a human label counts (default: 3)"
    )
    parser.add_argument("--hold-out", type=float, default=0.1, help="share of generations to hold out (default: 0.1)")
    parser.add_argument("--split-seed", type=int, default=0, help="seed of the choice of held-out texts (default: 0)")
    parser.add_argument("--smoothing", type=float, default=0.1, help="share of a label spread over all classes")
    parser.add_argument(
        "--mean-pooling",
        action="store_true",
        help="read the mean of the tokens, for encoders that were trained for it",
    )
    parser.add_argument("--vocabulary", type=int, default=5000, help="size of the small model's vocabulary")
    parser.add_argument("--width", type=int, default=128, help="width of the small model")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="a minute on a little of the data, to show that it works")
    options = parser.parse_args()
    if options.smoke:
        options.seeds, options.epochs = options.seeds[:1], 1
    options.epochs = options.epochs or (6 if options.distill_from else 3)
    options.learning_rate = options.learning_rate or (1e-3 if options.distill_from else 5e-5)
    return options


if __name__ == "__main__":
    options = read_options()
    fix_arithmetic(options.threads)
    require(options.data, "regard", "regard/classifier_predictions")
    require(options.data, "gpt2_generations/nlg_bias", "gpt2_generations/equinlg")
    (distil if options.distill_from else teach)(options)
