"""Networks of agents: from archives without that package, and with it in both directions."""

from __future__ import annotations

import sys

import pytest
import torch
from small_q_networks import described, dqn_weights, layers, network, write_archive

from hf_equi import QNetwork
from hf_equi.errors import ConfigurationError

IMAGE = {"dtype": "uint8", "_shape": [4, 36, 36]}


def nature_weights(prefix="q_net.features_extractor"):
    torch.manual_seed(0)
    found = {}
    for place, (before, after, kernel) in {0: (4, 32, 8), 2: (32, 64, 4), 4: (64, 64, 3)}.items():
        found[f"{prefix}.cnn.{place}.weight"] = torch.randn(after, before, kernel, kernel)
        found[f"{prefix}.cnn.{place}.bias"] = torch.randn(after)
    return found | layers([64, 16], f"{prefix}.linear.0")


def policy_weights():
    actor = layers([4, 8, 6], "mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2")
    critic = layers([4, 8, 6], "mlp_extractor.value_net.0", "mlp_extractor.value_net.2")
    return actor | critic | layers([6, 2], "action_net") | layers([6, 1], "value_net")


def read(tmp_path, weights, data=None, **settings):
    path = write_archive(tmp_path / "agent.zip", weights, data)
    return QNetwork.from_stable_baselines3(path, **settings)


def product(x, weights, names, function):
    for name in names[:-1]:
        x = function(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
    return x @ weights[f"{names[-1]}.weight"].T + weights[f"{names[-1]}.bias"]


def test_a_dqn_is_read_layer_by_layer(tmp_path):
    weights, x = dqn_weights(4, 8, 7, 6, 2), torch.randn(3, 4)
    model = read(tmp_path, weights)
    assert (model.config.hidden_sizes, model.config.outputs, model.training) == ([8, 7, 6], "q_values", False)
    names = [f"q_net.q_net.{place}" for place in (0, 2, 4, 6)]
    torch.testing.assert_close(model(x).q_values, product(x, weights, names, torch.relu))
    tanh = read(tmp_path, weights, described(activation_fn="<class 'torch.nn.modules.activation.Tanh'>"))
    torch.testing.assert_close(tanh(x).q_values, product(x, weights, names, torch.tanh))


def test_a_policy_is_read_as_logits(tmp_path):
    weights, x = policy_weights(), torch.randn(3, 4)
    model = read(tmp_path, weights)
    assert (model.config.outputs, model.config.activation) == ("logits", "tanh")
    names = ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"]
    torch.testing.assert_close(model(x).q_values, product(x, weights, names, torch.tanh))


def test_images_are_read_by_known_convolutions(tmp_path):
    weights, data = nature_weights() | layers([16, 2], "q_net.q_net.0"), described(IMAGE)
    model = read(tmp_path, weights, data)
    assert (model.config.state_shape, model.config.feature_size, model.config.hidden_sizes) == ([4, 36, 36], 16, [])
    assert model(torch.zeros(2, 4, 36, 36, dtype=torch.uint8)).q_values.shape == (2, 2)
    actor = nature_weights("pi_features_extractor") | nature_weights("features_extractor")
    policy = read(tmp_path, actor | layers([16, 2], "action_net"), data)
    assert policy.config.outputs == "logits"
    plain = read(tmp_path, weights, described(IMAGE, normalize_images=False))
    assert not plain.config.normalize_images
    own = {**data, "policy_kwargs": {"features_extractor_class": "<class 'me.Net'>"}}
    with pytest.raises(ConfigurationError, match=r"Weights do not tell strides: pass convolutions=\[\[channels"):
        read(tmp_path, weights, own)
    strided = read(tmp_path, weights, own, convolutions=[[32, 8, 4], [64, 4, 2], [64, 3, 2]])
    assert strided.config.convolutions[2] == [64, 3, 2]
    with pytest.raises(ConfigurationError, match="those of convolutions= are others"):
        read(tmp_path, weights, own, convolutions=[[32, 8, 4]])
    with pytest.raises(ConfigurationError, match="has none, so leave convolutions= out"):
        read(tmp_path, dqn_weights(), convolutions=[[32, 8, 4]])


def changed(**parts):
    return dqn_weights() | parts


@pytest.mark.parametrize(
    ("weights", "data", "message"),
    [
        (
            dqn_weights(),
            described(actions={":type:": "<class 'gymnasium.spaces.box.Box'>"}),
            "actions of the kind Box",
        ),
        (dqn_weights(), described(actions={"n": "many"}), "n='many' actions, which is not a number of actions"),
        (dqn_weights(), described(actions={"start": "1"}), "numbers its actions from 1: number them from 0"),
        (
            dqn_weights(),
            described({":type:": "<class 'gymnasium.spaces.dict.Dict'>"}),
            "observations of the kind Dict",
        ),
        (dqn_weights(), described({"_shape": None}), "does not give the shape of its observations: None"),
        (dqn_weights(), described({"_shape": [2, 2]}), "a state is a row of S numbers, or an image"),
        (dqn_weights(), described({"_shape": [10**9]}), r"weights of the shapes \[\(8, 1000000000\)"),
        (dqn_weights(), described(actions={"n": "3"}), r"\(3, 8\)\], but its weights have the shapes .*\(2, 8\)\]"),
        (
            dqn_weights(),
            described(activation_fn="<class 'me.Sine'>"),
            "activation <class 'me.Sine'>, which a QNetwork",
        ),
        ({}, None, "lacks layers of a network that scores actions"),
        (nature_weights(), described(IMAGE), "lacks layers of a network that scores actions"),
        ({"quantile_net.0.weight": torch.zeros(2, 2)}, None, "'quantile_net.0.weight' belongs to another kind"),
        (changed(log_std=torch.zeros(2)), None, "'log_std' belongs to another kind of network"),
        (changed(**{"q_net.q_net.0.bias": torch.zeros(3)}), None, "'q_net.q_net.0' lacks a weight and a bias"),
        (changed(**{"q_net.q_net.0.weight": torch.zeros(8, 4).long()}), None, "lacks a weight and a bias that fit"),
        (changed(**{"q_net.q_net.2.weight": torch.zeros(8, 5)}), None, r"\(8, 5\), \(2, 8\)\]: it is damaged"),
        (changed(**{"q_net.q_net.2.weight": torch.zeros(8)}), None, "a layer is neither linear nor a convolution"),
        (changed(**{"q_net.q_net.4.bias": torch.tensor([0.0, torch.nan])}), None, r"q_net\.q_net\.4\.bias holds num"),
        (changed(**layers([2, 2], "q_net.q_net.5")), None, "are not each followed by an activation alone"),
        (
            {**dqn_weights(), "q_net.q_net.4.bias": torch.tensor([1e300, 0]).double()},
            None,
            "4.bias holds numbers that",
        ),
        (dqn_weights(), described(features_extractor_class="<class 'me.Net'>"), "of its own, <class 'me.Net'>, whose"),
        (
            layers([4, 2], "q_net.network.base.head"),
            None,
            r"Take agent\.policy\.network of an agent that equivariant_",
        ),
    ],
)
def test_other_agents_are_refused(tmp_path, weights, data, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        read(tmp_path, weights, data)
    assert str(tmp_path / "agent.zip") in str(error.value)


def test_other_objects_are_refused():
    with pytest.raises(ConfigurationError, match="A Linear is not an agent of Stable-Baselines3: pass a DQN, PPO or"):
        QNetwork.from_stable_baselines3(torch.nn.Linear(2, 2))


def test_reading_needs_no_other_package(tmp_path, monkeypatch):
    for name in ("gymnasium", "stable_baselines3"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    model = read(tmp_path, dqn_weights())
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[rl\]'"):
        model.to_stable_baselines3(tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_convolutions_that_it_does_not_have_are_not_written(tmp_path):
    pytest.importorskip("stable_baselines3")
    with pytest.raises(ConfigurationError, match="Stable-Baselines3 has those of NatureCNN alone"):
        network(state_shape=[1, 9, 9]).to_stable_baselines3(tmp_path / "agent.zip")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"state_shape": 4, "num_actions": 2},
        {"state_shape": 4, "num_actions": 3, "hidden_sizes": [7], "activation": "tanh"},
        {"state_shape": 4, "num_actions": 2, "outputs": "logits", "activation": "elu"},
        {"state_shape": [1, 36, 36], "num_actions": 2, "feature_size": 8},
        {"state_shape": [1, 36, 36], "num_actions": 2, "feature_size": 8, "hidden_sizes": [5], "outputs": "logits"},
    ],
)
def test_the_package_reads_what_is_written_and_says_the_same(tmp_path, settings):
    sb3 = pytest.importorskip("stable_baselines3")
    model = network(sure=1.0, **settings)
    kind = sb3.PPO if model.config.outputs == "logits" else sb3.DQN
    own = {} if model.config.outputs == "logits" else {"buffer_size": 10}
    model.to_stable_baselines3(tmp_path / "agent.zip", **own)
    agent = kind.load(tmp_path / "agent.zip", device="cpu")
    shape = tuple(model.config.state_shape)
    x = torch.randint(0, 256, (5, *shape), dtype=torch.uint8) if len(shape) == 3 else torch.randn(5, *shape)
    with torch.no_grad():
        if model.config.outputs == "logits":
            said = agent.policy.get_distribution(x).distribution.logits
            ours = model(x).q_values.log_softmax(-1)
        else:
            said, ours = agent.q_net(x), model(x).q_values
            torch.testing.assert_close(agent.q_net_target(x), ours, rtol=0, atol=1e-6)
        torch.testing.assert_close(ours, said, rtol=0, atol=1e-6)
        for again in (tmp_path / "agent.zip", agent):
            back = QNetwork.from_stable_baselines3(again)
            assert torch.equal(back(x).q_values, model(x).q_values)
            stored, required = back.config.to_dict(), model.config.to_dict()
            assert {name for name in required if stored[name] != required[name]} <= {"activation"}  # of no layer


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_spaces_of_an_environment_are_stored(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    gymnasium = pytest.importorskip("gymnasium")
    env, model = gymnasium.make("CartPole-v1"), network(state_shape=4, num_actions=2)
    model.to_stable_baselines3(tmp_path / "agent.zip", env=env, buffer_size=10)
    agent = sb3.DQN.load(tmp_path / "agent.zip", env=env, device="cpu")
    observation, _ = env.reset(seed=0)
    action = int(agent.predict(observation, deterministic=True)[0])
    assert action == int(model(torch.tensor(observation)[None]).q_values.argmax())
    with pytest.raises(ConfigurationError, match=r"env= has states of the shape \[4\] and 2 actions, but the network"):
        network(state_shape=4, num_actions=3).to_stable_baselines3(tmp_path / "x.zip", env=env, buffer_size=10)
