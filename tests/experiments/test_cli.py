"""The command: one-line errors, exit codes, light start."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mdplib
from experiments import catalogue, cli
from experiments.cli import main
from mdplib import models
from tests.experiments import toy as toys
from tests.experiments.test_sweep import wait_for_rows
from tests.experiments.toy import toy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def toy_catalogue(monkeypatch):
    """Replace the catalogue by toys; returns the dict of experiments."""
    known = {"toy": toy()}
    monkeypatch.setattr(catalogue, "EXPERIMENTS", {"toy": "A toy"})
    for command in ("reproduce", "status", "report"):
        module = __import__(f"experiments.commands.{command}", fromlist=["run"])
        monkeypatch.setattr(module, "EXPERIMENTS", {"toy": "A toy"})
        if hasattr(module, "load"):
            monkeypatch.setattr(module, "load", known.__getitem__)
    return known


def failed(capsys, *arguments):
    """Run a command that must fail with one line; return the line."""
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mdplib: error: ")
    assert err.count("\n") == 1
    return err


# ------------------------------------------------------------------------ solve


def test_solve_json_agrees_with_a_plain_sweep(tmp_path, capsys):
    mdp = models.forest()
    mdplib.write(mdp, tmp_path / "forest.npz")
    assert main(["solve", str(tmp_path / "forest.npz"), "--gamma", "0.9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    V = np.zeros(mdp.n_states)
    for _ in range(500):  # value iteration in three lines
        q = mdp.reward + 0.9 * np.add.reduceat(mdp.data * V[mdp.indices], mdp.indptr[:-1])
        V = np.maximum.reduceat(q, mdp.state_ptr[:-1])
    assert np.all(np.asarray(found["lower"]) <= V + 1e-9)
    assert np.all(np.asarray(found["upper"]) + 1e-9 >= V)
    assert found["status"] == "OPTIMAL"
    assert found["gap"] <= 1e-6
    assert len(found["policy"]) == mdp.n_states


def test_solve_gymnasium_text(capsys):
    assert main(["solve", "FrozenLake-v1", "--gamma", "0.9"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == [
        "model",
        "status",
        "method",
        "lower",
        "upper",
        "gap",
        "policy",
    ]


def test_solve_finite_horizon_json(capsys):
    assert main(["solve", "forest", "--horizon", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.shape(found["policy"]) == (3, 3)
    assert np.shape(found["lower"]) == (4, 3)


@pytest.fixture
def coin(tmp_path):
    """Toss a fair coin until heads, 3 a toss; or stop with nothing."""
    labelled: Any = mdplib.LabelledMDP  # takes lists too
    model = labelled(
        [0, 2, 3, 4],
        [0, 2, 3, 4, 5],
        [0, 1, 2, 1, 2],
        [0.5, 0.5, 1.0, 1.0, 1.0],
        [0, 1, 0, 0],
        rewards={"cost": np.array([3.0, 1.0, 0.0, 0.0])},
        labels={"heads": np.array([False, True, False]), "over": np.array([False, True, True])},
        initial=np.array([1.0, 0.0, 0.0]),
    )
    path = tmp_path / "coin.umb"
    mdplib.write(model, path)
    return str(path)


@pytest.mark.parametrize(
    ("question", "value"),
    [
        (["--reach", "heads"], "1"),
        (["--reach", "heads", "--objective", "min"], "0"),
        (["--until", "over"], "6"),
        (["--until", "over", "--objective", "min"], "1"),
    ],
)
def test_solve_asks_a_question_of_a_labelled_file(capsys, coin, question, value):
    assert main(["solve", coin, *question, "--method", "exact"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["exact"] == value
    assert main(["solve", coin, *question, "--rtol", "1e-9", "--tol", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["initial"]["lower"] <= float(value) <= found["initial"]["upper"]
    assert found["objective"] == ("min" if "min" in question else "max")


def test_solve_says_what_may_be_asked(capsys, coin):
    said = failed(capsys, "solve", coin)
    assert "--reach LABEL" in said
    assert "Labels: heads, over" in said
    assert "Rewards: cost" in said
    assert "no label 'tails'" in failed(capsys, "solve", coin, "--reach", "tails")
    assert "criterion of its own" in failed(capsys, "solve", "forest", "--reach", "x")
    assert main(["solve", coin, "--gamma", "0.5"]) == 0
    assert "gamma=0.5" in capsys.readouterr().out


def test_solve_without_proof_exits_with_one(capsys):
    assert main(["solve", "maze", "--time-limit", "0"]) == 1
    assert "TIME_LIMIT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["FrozenLake-v9"], "did you mean FrozenLake-v1"),
        (["riverswimm"], "did you mean riverswim"),
        (["nothing.npz"], "no file nothing.npz"),
        (["CartPole-v1"], "no transition table"),
        (["FrozenLake-v1", "--gamma", "1.5"], "gamma is 1.5"),
        (["FrozenLake-v1", "--gamma", "nan"], "gamma is nan"),
        (["FrozenLake-v1", "--method", "value_iterations"], "did you mean 'value_iteration'"),
        (["FrozenLake-v1", "--tol", "-1"], "--tol -1"),
        (["FrozenLake-v1", "--horizon", "0"], "horizon"),
        (["FrozenLake-v1", "--method", "backward_induction"], "discounted"),
        ([str(ROOT / "README.md")], "README.md"),
        ([str(ROOT)], "no file"),
    ],
)
def test_solve_errors_are_one_line(capsys, arguments, part):
    assert part in failed(capsys, "solve", *arguments)


def test_damaged_model_file(tmp_path, capsys):
    path = tmp_path / "m.npz"
    mdplib.write(models.forest(), path)
    path.write_bytes(path.read_bytes()[:200])
    assert str(path) in failed(capsys, "solve", str(path))


def test_debug_shows_the_trace():
    for arguments in (["--debug", "solve", "nope.npz"], ["solve", "nope.npz", "--debug"]):
        with pytest.raises(mdplib.MdplibError):
            main(arguments)


def test_unexpected_errors_are_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr("experiments.commands.solve.load", lambda *a: 1 / 0)
    assert "ZeroDivisionError" in failed(capsys, "solve", "FrozenLake-v1")


@pytest.mark.parametrize(
    "arguments", [[], ["solve"], ["nonsense"], ["reproduce", "--scale", "big"]]
)
def test_wrong_command_lines_are_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# ------------------------------------------------------------------ light start


def test_help_is_light():
    code = (
        "import sys\n"
        "from experiments.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'matplotlib', 'numba', 'joblib', 'distributed', 'gymnasium'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith("heavy: []\n"), done.stdout + done.stderr


def test_choices_agree_with_the_engine():
    from experiments.engine.cells import SCALES
    from experiments.engine.executors import EXECUTORS

    assert cli.SCALES == SCALES
    assert cli.EXECUTORS == EXECUTORS


# ------------------------------------------------------------------ list, check


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for part in ("plugin", "value_iteration", "riverswim", "denardo1967:contraction"):
        assert part in out


def test_check_one_theorem(tmp_path, capsys):
    assert main(["check", "denardo1967:contraction", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("HOLDS          denardo1967:contraction: ")
    assert "VIOLATED" in out
    assert out.count("NOT_APPLICABLE") == 2
    assert main(["check", "kakade2002", "--json", "--results", str(tmp_path)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["id"] == "kakade2002:performance_difference"
    kept = json.loads((tmp_path / "verdicts.json").read_text())["verdicts"]
    assert [verdict["id"] for verdict in kept] == ["denardo1967:contraction", found["id"]]


def test_check_reports_a_blind_checker(tmp_path, capsys, monkeypatch):
    """A mutant that is not caught must fail the command."""
    from dataclasses import replace

    from bounds.catalogue import CATALOGUE

    entry = CATALOGUE["denardo1967:contraction"]
    monkeypatch.setitem(CATALOGUE, entry.theorem.id, replace(entry, mutant=entry.theorem))
    assert main(["check", entry.theorem.id, "--results", str(tmp_path)]) == 1
    assert "BAD mutant" in capsys.readouterr().out


def test_check_unknown(capsys, tmp_path):
    line = failed(capsys, "check", "denardo1967:contractio", "--results", str(tmp_path))
    assert "did you mean denardo1967:contraction" in line


# ------------------------------------------------------------ reproduce, status


def test_reproduce_then_status(tmp_path, capsys, toy_catalogue):
    where = ["--results", str(tmp_path)]
    assert main(["reproduce", "toy", "--scale", "smoke", "--dry-run", *where]) == 0
    assert "4 cells, 4 to compute" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert main(["reproduce", "toy", "--scale", "smoke", *where]) == 0
    assert "4 computed, 0 reused, 0 failed" in capsys.readouterr().out
    assert (tmp_path / "index.html").exists()
    assert main(["reproduce", "toy", "--scale", "default", "--dry-run", *where]) == 0
    assert "8 cells, 4 to compute, about" in capsys.readouterr().out
    assert main(["status", *where]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["toy", "smoke", "4", "4", "0", "0"],
        ["toy", "default", "8", "4", "4", "0"],
        ["toy", "paper", "12", "4", "8", "0"],
    ]
    toy_catalogue["toy"] = toy(epoch=2)
    main(["status", *where])
    assert "4 stale rows" in capsys.readouterr().out


def test_reproduce_reports_bad_cells(tmp_path, capsys, toy_catalogue):
    toy_catalogue["toy"] = toy(toys.fails_for_one)
    where = ["--scale", "smoke", "--results", str(tmp_path)]
    assert main(["reproduce", "toy", *where]) == 1
    out, err = capsys.readouterr()
    assert "3 computed, 0 reused, 1 failed" in out
    assert "'n': 1" in err
    assert "cell 1b is bad" in err
    assert "run the same command again" in err
    main(["status", "--results", str(tmp_path)])
    assert ["toy", "smoke", "4", "3", "0", "1"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


def test_reproduce_errors_are_one_line(tmp_path, capsys):
    where = ["--results", str(tmp_path)]
    assert "did you mean 'plugin'" in failed(capsys, "reproduce", "plugins", *where)
    assert "--jobs 0" in failed(capsys, "reproduce", "--jobs", "0", "--executor", "loky", *where)
    (tmp_path / "schema.json").write_text('{"schema": 5}')
    for command in (["reproduce"], ["report"], ["status"], ["reproduce", "--dry-run"]):
        assert "layout version 5" in failed(capsys, *command, *where)
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]


def test_interrupt_says_how_to_go_on(tmp_path):
    code = (
        "import sys\n"
        "from experiments import catalogue, cli\n"
        "from tests.experiments import toy as t\n"
        "t.hear_interrupts()\n"
        "catalogue.EXPERIMENTS.clear(); catalogue.EXPERIMENTS['toy'] = 'A toy'\n"
        "catalogue.load = lambda name: t.toy(t.held)\n"
        "sys.exit(cli.main(['reproduce', 'toy', '--scale', 'paper', '--results', sys.argv[1]]))"
    )
    results = tmp_path / "results"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(results)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_rows(results, 2, child)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert err.splitlines()[-1].startswith("mdplib: interrupted; finished rows are kept")
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m experiments list | head -1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.stdout, done.stderr) == ("experiments:\n", "")
