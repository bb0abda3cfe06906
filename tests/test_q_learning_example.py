"""The example of Q-learning: its episodes, its measurements beside plain ones, its stages, and its page."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("stable_baselines3")
sys.path.append(str(Path(__file__).parents[1] / "examples"))
import q_learning
import q_learning_figures
import q_learning_play
import q_learning_reasons
import q_learning_results
from q_learning_play import ENVIRONMENTS, greedy, play
from q_learning_stages import METHODS, PUBLIC, STAGES, Run, Settings

from hf_equi import EquiQNetwork, QNetwork, QNetworkConfig, symmetrize

CARTPOLE = ENVIRONMENTS["cartpole"]
TINY = Settings(pretraining=200, finetuning=100, points=2, few=2, episodes=4, agent={"learning_starts": 40})


def leaning(push: float = 10.0, right: float = 0.0) -> QNetwork:
    """Make a network for CartPole that pushes to where the pole falls, and values the right by itself."""
    network = QNetwork(QNetworkConfig(state_shape=4, num_actions=2, hidden_sizes=[2]))
    first, last = (module for module in network.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.0, 0.0, 1.0, 0.5], [0.0, 0.0, -1.0, -0.5]]))
        last.weight.copy_(push * torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        first.bias.zero_()
        last.bias.copy_(torch.tensor([0.0, right]))
    return network.eval()


def ways(base: QNetwork, environment: str = "cartpole") -> dict[str, EquiQNetwork]:
    return {name: symmetrize(base, ENVIRONMENTS[environment].group, method) for name, method in METHODS.items()}


def test_episodes_are_those_of_a_plain_loop() -> None:
    network, seeds = leaning(right=0.3), range(3)
    found = play(CARTPOLE, greedy(network), seeds)
    for seed, states, rewards in zip(seeds, found.states, found.rewards, strict=True):
        env = CARTPOLE.make()
        state, done, steps = env.reset(seed=seed)[0], False, 0
        while not done:
            assert np.array_equal(states[steps], state)
            action = int(network.greedy_actions(torch.from_numpy(state)[None]))
            state, reward, terminated, truncated, _ = env.step(action)
            assert rewards[steps] == reward
            done, steps = terminated or truncated, steps + 1
        assert steps == len(states) == len(rewards)
    discounted = [sum(0.99**k * reward for k, reward in enumerate(own)) for own in found.rewards]
    assert found.discounted == pytest.approx(discounted)
    again = play(CARTPOLE, greedy(network), seeds, torch.stack([torch.from_numpy(own[5]) for own in found.states]))
    assert again.returns == [own - 5 if own < 500 else 500 for own in found.returns]


def test_a_kept_member_acts_as_the_base_in_the_twin() -> None:
    """Written out: whichever member the first state prefers, its actions are those of the base, moved back."""
    model, seeds = ways(leaning(push=3.0, right=0.2))["equizero"], range(4)
    found = play(CARTPOLE, q_learning_play.Kept(model), seeds)
    sides = set()
    for states in found.states:
        side = int(model(states=torch.from_numpy(states[:1])).chosen_element)
        sides.add(side)
        sign = -1.0 if side else 1.0
        start = torch.from_numpy(states[:1]) * sign
        twin = play(CARTPOLE, greedy(model.base), [0], start)
        np.testing.assert_allclose((twin.states[0] * sign)[:50], states[:50], atol=1e-4)  # before rounding has grown
    assert sides == {0, 1}


def test_with_two_actions_and_a_mirror_equitune_and_equizero_act_alike() -> None:
    torch.manual_seed(0)
    models = ways(QNetwork(QNetworkConfig(state_shape=4, num_actions=2)))
    states = torch.randn(500, 4)
    assert torch.equal(models["equitune"].greedy_actions(states), models["equizero"].greedy_actions(states))
    assert not torch.equal(models["equitune"].greedy_actions(states), models["base"].greedy_actions(states))


def test_what_is_near_is_found_one_by_one() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(40, 4, generator=generator) * torch.tensor([1.0, 10.0, 1.0, 1.0])  # on one side of 0
    states = torch.rand(30, 4, generator=generator) * torch.tensor([1.0, 10.0, 1.0, 1.0])
    found = q_learning_reasons.near(CARTPOLE, states, reference)
    scale = [float(reference[:, k].double().std()) for k in range(4)]

    def nearest(state: list[float]) -> float:
        rows = ((((a - b) / s) for a, b, s in zip(state, row, scale, strict=True)) for row in reference.tolist())
        return min(math.sqrt(sum(part**2 for part in row)) for row in rows)

    own = sorted(nearest(state) for state in states.tolist())
    twins = sorted(nearest((-state).tolist()) for state in states)
    assert found["distance"] == pytest.approx(own[14])
    assert found["twin distance"] == pytest.approx(twins[14])
    assert found["states"] == pytest.approx(0.95, abs=0.04)
    assert found["twins"] < 0.2
    both = q_learning_reasons.elsewhere(CARTPOLE, states, reference, -states)
    assert both["near path"] == pytest.approx(found["twins"])
    assert both["near path or twins"] == pytest.approx(found["states"])


def test_agreement_is_that_of_single_states() -> None:
    models = ways(leaning(right=0.3))
    states = play(CARTPOLE, q_learning_play.anyhow(CARTPOLE, 0), range(4)).drawn(50, 0)
    found = q_learning_reasons.agreement(CARTPOLE, models, states)
    with torch.no_grad():
        own = models["base"].base(states=states).q_values
        twin = models["base"].base(states=-states).q_values.flip(1)
    assert found["asymmetry"] == pytest.approx(0.3, abs=1e-5)  # all of it is what right is worth by itself
    assert found["relative asymmetry"] == pytest.approx(0.3, abs=1e-5)
    wanted = sum(int(a.argmax()) != int(b.argmax()) for a, b in zip(own, twin, strict=True)) / len(states)
    assert found["twins disagree"] == pytest.approx(wanted)
    mean = ((own + twin) / 2).argmax(1)
    assert found["equitune differs"] == pytest.approx(float((mean != own.argmax(1)).double().mean()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """All stages of tiny agents: images, places, and an archive in place of a public agent."""
    folder = tmp_path_factory.mktemp("q_learning")
    archive = folder / str(CARTPOLE.public)
    archive.parent.mkdir(parents=True)
    leaning(push=1.0, right=0.3).to_stable_baselines3(archive)
    given = (("cartpole", PUBLIC), ("torus", 0), ("walled", 1))
    made = [Run(folder, folder / "runs", name, seed, TINY) for name, seed in given]
    q_learning.work(made[:2], list(STAGES))
    q_learning.work(made[2:], ["pretrain", "zero_shot"])
    return made


def test_all_stages_run_and_are_kept(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "finish", lambda *_: pytest.fail("ran again"))
    q_learning.work(runs[:2], list(STAGES))
    assert [run.name for run in runs] == ["cartpole/public", "torus/seed0", "walled/seed1"]
    for run in runs[:2]:
        assert run.asymmetry("identity") > 1e-3
        for name, method in METHODS.items():
            record: Any = run.results(f"finetune_{name}")
            assert list(record["curve"]) == ["0", "50", "100"]
            again = EquiQNetwork.from_pretrained(run.folder / f"finetuned_{name}")
            assert run.asymmetry(method) < 1e-5 or name == "base"
            changed = [
                (a - b).abs().max() for a, b in zip(again.base.parameters(), run.base.parameters(), strict=True)
            ]
            assert max(changed) > 1e-5


def test_a_pretraining_repeats_itself_whenever_it_is_measured(runs: list[Run], tmp_path: Path) -> None:
    again = Run(tmp_path, tmp_path, "walled", 1, Settings(**{**vars(TINY), "points": 3}))
    again.finish("pretrain")
    for one, other in zip(again.base.parameters(), runs[2].base.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_page_shows_what_is_there_and_keeps_it(runs: list[Run], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{q_learning_results.MARKER}\n\nold", encoding="utf-8")
    q_learning_results.write_page(page, runs, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand\n")
    assert "old" not in text
    assert text.count("| CartPole | public | its path |") == 4
    assert "| Gridworld, torus | 1 of 5 seeds |" in text
    assert "- Gridworld, walled: " in text
    assert "Not measured yet." not in text
    assert text.count("| Gridworld, walled |") == 2
    for name in q_learning_results.PLOTS:
        assert (tmp_path / "page" / name).read_bytes().startswith(b"\x89PNG")
    gone = [Run(run.data, tmp_path / "none", run.environment, run.seed) for run in runs]
    q_learning_results.write_page(page, gone, "the command")
    assert page.read_text(encoding="utf-8") == text
    stored = json.loads((tmp_path / "page" / "results.json").read_text(encoding="utf-8"))
    assert set(stored) == {run.name for run in runs}
    q_learning_results.write_page(tmp_path / "empty.md", [], "the command")
    assert "Nothing has been measured yet." in (tmp_path / "empty.md").read_text(encoding="utf-8")


def test_intervals_are_those_of_students_t() -> None:
    """By the two-sided quantiles of tables of Student's t: 2.262 for 10 values, 1.984 for 100."""
    for count, quantile in ((2, 12.706), (5, 2.776), (10, 2.262), (100, 1.984)):
        assert q_learning_figures.half_width(1.0, count) * math.sqrt(count) == pytest.approx(quantile, abs=2e-3)
    assert q_learning_figures.half_width(0.0, 1) == 0


def test_missing_data_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setattr(q_learning, "fix_arithmetic", lambda threads: None)
    monkeypatch.setattr(sys, "argv", ["q_learning.py", "--data", str(tmp_path), "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        q_learning.main()
    assert stopped.value.code == 2
    assert "DLR-RM/rl-trained-agents" in capsys.readouterr().err


def test_smoke_shows_the_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(q_learning, "SMALL", TINY)
    q_learning.show(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    gaps = dict(zip(METHODS, (float(line.rpartition(" ")[2]) for line in lines[-3:]), strict=True))
    assert max(gaps["equitune"], gaps["equizero"]) < 1e-5
    assert gaps["base"] > 1e-3
