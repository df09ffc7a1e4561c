from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import songbloom
from songbloom.cli import COMMANDS, terminal
from songbloom.errors import CheckpointError, InvalidInput


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert run("--version").out == f"songbloom {songbloom.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert out.startswith(f"usage: songbloom {name}")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["generate", "--nonsense"],
        ["generate", "--step", "10"],
        ["download"],
        ["generate", "--steps", "nan"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("songbloom: error: ")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InvalidInput("steps", 0, "must be more"), 2, "songbloom: error: steps=0: must be more"),
        (CheckpointError("x is missing"), 1, "songbloom: error: x is missing"),
        (
            KeyboardInterrupt(),
            130,
            "songbloom: error: interrupted; files already written are whole",
        ),
        (OSError(28, "No space left on device"), 1, "songbloom: error: [Errno 28] No space left on device"),
        (MemoryError(), 1, "songbloom: error: out of memory; try --dtype bfloat16"),
        (ZeroDivisionError("oops"), 1, "songbloom: error: unexpected ZeroDivisionError: oops (-v shows where"),
    ],
)
def test_every_error_is_one_line_and_a_code(capsys, error, code, line):
    def fail(_):
        raise error

    assert terminal.run_command(terminal.Parser("x", "x"), fail, []) == code
    assert capsys.readouterr().err.startswith(line)


def test_verbose_shows_where_an_error_comes_from_and_messages_of_the_package(capsys):
    def fail(_):
        logging.getLogger("songbloom.some.part").info("a detail")
        raise CheckpointError("x is missing")

    assert terminal.run_command(terminal.Parser("x", "x"), fail, ["-v"]) == 1
    err = capsys.readouterr().err
    assert "a detail" in err
    assert "in fail" in err
    assert terminal.run_command(terminal.Parser("x", "x"), fail, []) == 1
    assert "a detail" not in capsys.readouterr().err


def test_results_the_terminal_cannot_show_are_escaped():
    code = "from songbloom.cli.terminal import write_line; write_line('\\u4f60 a')"
    command = [sys.executable, "-X", "utf8=0", "-c", code]
    done = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True)
    assert done.stdout.strip() == b"\\u4f60 a"


def test_a_reader_that_leaves_early_is_no_error():
    code = "import sys; from songbloom.cli import main; sys.exit(main(['models', '--json']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
