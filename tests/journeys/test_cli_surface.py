"""The real command and the public face: quick, quiet where it must be, and exactly what is promised."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import tunesmith

HEAVY = {"torch", "transformers", "peft", "numpy", "sqlalchemy", "polars", "pyarrow", "sklearn", "ftfy", "rich.progress", "asyncio"}
COMMANDS = (
    "demo",
    "init",
    "synthesise",
    "prepare",
    "check",
    "advise",
    "estimate",
    "search",
    "run",
    "show",
    "compare",
    "list",
    "serve",
    "worker",
    "monitor",
    "audit",
    "review",
    "style",
    "next",
    "promote",
    "rollback",
    "champions",
    "challenge",
    "trial",
    "schema",
)
GROUPS = ("keys", "feedback")
"""Commands that have commands of their own."""


def _python(*arguments: str, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, timeout=60, check=False)


def _loaded_by(code: str, folder: Path) -> set[str]:
    script = f"import sys, contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n{code}\nprint(' '.join(sys.modules))"
    done = _python("-c", script, folder=folder)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _command(*arguments: str) -> str:
    return f"  from tunesmith.cli.main import app\n  try: app({list(arguments)!r})\n  except SystemExit: pass"


@pytest.fixture
def typo(tmp_path: Path) -> Path:
    (tmp_path / "bad.yaml").write_text("data:\n  path: x\ntrain:\n  learning_rte: 1\n")
    return tmp_path


@pytest.mark.parametrize(
    "code",
    [
        "  import tunesmith",
        "  import tunesmith.recipe",
        "  import tunesmith; tunesmith.Recipe, tunesmith.load_recipe, tunesmith.DataError",
        _command("--help"),
        _command("run", "--help"),
        _command("check", "bad.yaml"),
        _command("schema"),
        _command("init", "--data", "sample"),
    ],
)
def test_nothing_heavy_is_loaded(code: str, typo: Path) -> None:
    assert not _loaded_by(code, typo) & HEAVY


def test_importing_the_package_loads_nothing_of_others(tmp_path: Path) -> None:
    assert not _loaded_by("  import tunesmith", tmp_path) & {"pydantic", "typer", "ruamel.yaml", "rich"}


LIBRARIES = "import typer, ruamel.yaml, pydantic; pydantic.create_model('Least', a=(int, 1))"
"""What a command line that reads a recipe can't do without: 0.13 s of processor time on a quiet machine, where help takes 0.08 and a typo 0.28."""


def _spent(*arguments: str, folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _python(*arguments, folder=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_and_a_typo_are_answered_at_once(typo: Path) -> None:
    """0.3 s on a quiet machine. A busy one stretches even processor time, so the bounds are multiples of what the libraries alone take
    in the same moments, best of five."""
    asked = {"libraries": ("-c", LIBRARIES), "help": ("-m", "tunesmith", "--help"), "typo": ("-m", "tunesmith", "check", "bad.yaml")}
    spent: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(5):
        for name, arguments in asked.items():
            spent[name].append(_spent(*arguments, folder=typo))
    least = {name: min(found) for name, found in spent.items()}
    assert least["help"] < 1.2 * least["libraries"] and least["typo"] < 3 * least["libraries"], least


def test_a_typo_ends_with_its_line_and_exit_code_2(typo: Path) -> None:
    done = _python("-m", "tunesmith", "check", "bad.yaml", folder=typo)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: bad.yaml:4: train.learning_rte is not a setting. Did you mean 'learning_rate'?\n"


def test_help_names_every_command_and_exit_code(tmp_path: Path) -> None:
    said = _python("-m", "tunesmith", "--help", folder=tmp_path).stdout
    assert [line.split()[0] for line in said.partition("Commands:")[2].partition("\n\n")[0].splitlines() if line] == [*COMMANDS, *GROUPS]
    assert "..." not in said.partition("Commands:")[2]
    for code in ("0 done", "1 a bug", "2 the recipe", "3 the data", "4 a gate"):
        assert code in " ".join(said.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_common_options(command: str, tmp_path: Path) -> None:
    said = " ".join(_python("-m", "tunesmith", command, "--help", folder=tmp_path).stdout.split())
    for option in ("--workspace", "TUNESMITH_WORKSPACE", "--json", "--quiet", "Exit codes:"):
        assert option in said


def test_wrong_calls(tmp_path: Path) -> None:
    assert _python("-m", "tunesmith", "--version", folder=tmp_path).stdout == f"tunesmith {tunesmith.__version__}\n"
    near = _python("-m", "tunesmith", "chekc", folder=tmp_path)
    assert near.returncode == 2
    assert "Did you mean 'check'?" in near.stderr
    assert _python("-m", "tunesmith", "run", folder=tmp_path).returncode == 2
    assert _python("-m", "tunesmith", "run", "none.yaml", folder=tmp_path).returncode == 2


def test_a_closed_pipe_is_no_news(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        command = [sys.executable, "-m", "tunesmith", "schema"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_terminal_that_knows_only_ascii(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("data: {path: x, größe: 1}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith", "check", "r.yaml"],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: r.yaml:1: data.gr\\xf6")


def test_the_schema_is_json(tmp_path: Path) -> None:
    assert json.loads(_python("-m", "tunesmith", "schema", folder=tmp_path).stdout)["properties"]["train"]


def test_what_the_package_exports() -> None:
    assert tunesmith.__all__ == [
        "Advice",
        "BusyError",
        "DataError",
        "DivergedError",
        "Estimate",
        "GateError",
        "Machine",
        "MachineError",
        "NextConfig",
        "NextOutcome",
        "Recipe",
        "RecipeError",
        "Round",
        "Search",
        "TunesmithError",
        "Wishes",
        "__version__",
        "advise",
        "champions",
        "check",
        "described",
        "estimate",
        "load_recipe",
        "next_round",
        "prepare",
        "promote",
        "rollback",
        "run",
        "search_settings",
        "show",
        "synthesise",
    ]
    assert set(tunesmith.__all__) <= set(dir(tunesmith))
    with pytest.raises(AttributeError, match="no attribute 'tune'"):
        _ = tunesmith.tune


def test_every_export_is_there_and_every_error_of_one_root() -> None:
    pytest.importorskip("tunesmith.pipeline.api")
    for name in tunesmith.__all__:
        value = getattr(tunesmith, name)
        if name.endswith("Error"):
            assert issubclass(value, tunesmith.TunesmithError)
