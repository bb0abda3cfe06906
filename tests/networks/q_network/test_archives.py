"""Archives that are broken or hostile: refused by name, with nothing executed."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile

import pytest
import torch
from small_q_networks import described, dqn_weights, write_archive

from hf_equi.errors import ConfigurationError
from hf_equi.networks.q_network import archives
from hf_equi.networks.q_network.archives import read_archive


class Hostile:
    """It makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_weights_and_readable_facts_are_read(tmp_path):
    weights = dqn_weights()
    path = write_archive(tmp_path / "agent.zip", weights, described(activation_fn="<class 'torch.nn.Tanh'>"))
    for given in (path, str(path), tmp_path / "agent"):
        stored = read_archive(given)
        assert {name: weight.tolist() for name, weight in stored.weights.items()} == {
            name: weight.tolist() for name, weight in weights.items()
        }
        assert stored.states["_shape"] == [4]
        assert stored.actions["n"] == "2"
        assert stored.policy["activation_fn"] == "<class 'torch.nn.Tanh'>"
        assert stored.start == f"The archive {path}"


def test_weights_that_old_releases_of_torch_wrote_are_read(tmp_path):
    """They are no zip."""
    weights, file = dqn_weights(), io.BytesIO()
    torch.save(weights, file, _use_new_zipfile_serialization=False)
    stored = read_archive(write_archive(tmp_path / "agent.zip", file.getvalue()))
    assert all(torch.equal(stored.weights[name], weight) for name, weight in weights.items())


def test_a_pickle_is_not_run(tmp_path):
    made = tmp_path / "made"
    file = io.BytesIO()
    torch.save({"q_net.q_net.0.weight": Hostile(made)}, file)
    hostile = [file.getvalue(), pickle.dumps(Hostile(made), protocol=2)]
    pickle.loads(hostile[1])
    assert made.is_dir()  # so the pickle would run
    made.rmdir()
    for content in hostile:
        path = write_archive(tmp_path / "agent.zip", content)
        with pytest.raises(ConfigurationError, match=r"tensors alone.*Nothing was run"):
            read_archive(path)
        assert not made.exists()
    file = io.BytesIO()
    torch.save({"q_net.q_net.0.weight": Hostile(made)}, file, _use_new_zipfile_serialization=False)
    with pytest.raises(ConfigurationError, match=r"tensors alone.*Nothing was run"):
        read_archive(write_archive(tmp_path / "agent.zip", file.getvalue()))
    assert not made.exists()
    content = json.loads(json.dumps(described()))
    content["policy_kwargs"] = {":type:": "<class 'dict'>", ":serialized:": pickle.dumps(Hostile(made)).hex()}
    read_archive(write_archive(tmp_path / "agent.zip", dqn_weights(), content))
    assert not made.exists()


@pytest.mark.parametrize("name", ["data", "policy.pth"])
def test_parts_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setitem(archives._MOST_BYTES, name, 100)
    with pytest.raises(ConfigurationError, match=rf"its part '{name}' has \d+ bytes unpacked, and at most 100 are"):
        read_archive(write_archive(tmp_path / "agent.zip", dqn_weights()))


def test_weights_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("archive/data/0", bytes(10**6))
    assert len(packed.getvalue()) < 10**4
    monkeypatch.setitem(archives._MOST_BYTES, "policy.pth", 10**5)
    with pytest.raises(ConfigurationError, match="its weights have 1000000 bytes unpacked, which is too much"):
        read_archive(write_archive(tmp_path / "agent.zip", packed.getvalue()))
    repeated = {"q_net.q_net.0.weight": torch.zeros(1).expand(10**6, 10**6)}  # one number, which claims to be 4 TB
    monkeypatch.undo()
    with pytest.raises(ConfigurationError, match=r"policy\.pth does not hold the weights of a network"):
        read_archive(write_archive(tmp_path / "agent.zip", repeated))


@pytest.mark.parametrize(
    ("weights", "data", "message"),
    [
        (dqn_weights(), b"{", "JSONDecodeError"),
        (dqn_weights(), b"[]", "its data is not a JSON object"),
        (dqn_weights(), b"{}", "its data does not describe 'observation_space'"),
        (dqn_weights(), b"[" * 10**5, "RecursionError"),
        (dqn_weights(), {**described(), "action_space": "two"}, "does not describe 'action_space'"),
        (dqn_weights(), {**described(), "policy_kwargs": [1]}, "does not describe 'policy_kwargs'"),
        (b"", None, "cannot be read"),
        (b"PK", None, "tensors alone|cannot be read"),
        ([1, 2], None, r"policy\.pth does not hold the weights of a network"),
        ({"q_net.q_net.0.weight": 3}, None, r"policy\.pth does not hold the weights of a network"),
    ],
)
def test_broken_parts_are_named(tmp_path, weights, data, message):
    path = write_archive(tmp_path / "agent.zip", weights, data)
    with pytest.raises(ConfigurationError, match=message) as error:
        read_archive(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_archives_are_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"agent\.zip does not exist: name the archive that the agent's"):
        read_archive(tmp_path / "agent.zip")
    with pytest.raises(ConfigurationError, match="does not exist: name the archive"):
        read_archive("")
    (tmp_path / "agent.zip").write_bytes(b"no zip")
    with pytest.raises(ConfigurationError, match=r"agent\.zip cannot be read \(BadZipFile"):
        read_archive(tmp_path / "agent.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("data", "{}")
    with pytest.raises(ConfigurationError, match=r"other\.zip has no part 'policy\.pth'"):
        read_archive(tmp_path / "other.zip")
    whole = write_archive(tmp_path / "whole.zip", dqn_weights()).read_bytes()
    for size in (len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.zip").write_bytes(whole[:size])
        with pytest.raises(ConfigurationError, match=r"cut\.zip"):
            read_archive(tmp_path / "cut.zip")
