"""The benchmark of the robust offline methods runs, and measures what it says."""

from __future__ import annotations

import json

import numpy as np

from benchmarks.robust import __main__ as command
from benchmarks.robust.instances import Generated, random_data


def test_quick_run_writes_its_numbers(tmp_path, capsys):
    numbers = command.main(["--quick", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "robust.json").read_text())["d"] == numbers["d"] == 5
    methods = [row["method"] for row in numbers["compare"]]
    assert methods == ["pevi", "tv", "kl", "chi2", "tv ball", "kl ball"]
    for row in numbers["compare"][:3]:
        assert row["largest_difference_of_w"] < 1e-9
    assert [row["method"] for row in numbers["scale"]] == ["tv", "kl", "chi2", "tv ball"]
    assert "chi-square duals" in capsys.readouterr().out


def test_generated_features_are_distinct_points_of_the_simplex():
    source = Generated(500, 6, 2, block=64)
    one, two = (np.vstack([block.phi for block in source.blocks(h)]) for h in (0, 1))
    assert one.shape == (500, 6) == (source.count(0), source.dimension)
    np.testing.assert_allclose(one.sum(axis=1), 1)
    assert one.min() >= 0
    assert np.unique(np.vstack([one, two]), axis=0).shape[0] == 1000
    again = np.vstack([block.phi for block in source.blocks(0)])
    np.testing.assert_array_equal(one, again)


def test_random_data_are_valid():
    data = random_data(30, 4, 3, np.random.default_rng(0), S=50)
    assert data.n_trajectories == 30
    np.testing.assert_array_equal(data.states[1], data.next[0])
