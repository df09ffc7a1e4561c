"""``songbloom serve``: the REST service, its workers, and its keys."""

from __future__ import annotations

import argparse
import logging
from dataclasses import fields, replace
from typing import Any, get_type_hints

from songbloom.cli.terminal import DONE, Parser, write_line
from songbloom.serve import require_extra
from songbloom.serve.settings import ServeSettings, variable_of


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        "Serve songs over HTTP. The address answers with documentation at /docs.",
        "Options that show a [SONGBLOOM_...] can be given as that environment variable.",
    )
    add_settings(parser)
    add = parser.add_argument
    add("--reload", action="store_true", help="start anew when the source changes, for development")
    add("--worker", action="store_true", help="be one worker only, for other machines on the same Postgres")
    add("--supervised", action="store_true", help=argparse.SUPPRESS)  # ends when its stdin does
    add("--create-key", metavar="NAME", help="make an API key, print it once, and end")
    add("--admin", action="store_true", help="with --create-key: it may also load models and read metrics")
    add("--revoke-key", metavar="NAME", help="make an API key useless, and end")
    parser.set_defaults(log_level=logging.INFO)
    return parser


def add_settings(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    """An option for every setting of the service; ``defaults`` are shown where they differ from its own."""
    types = get_type_hints(ServeSettings)
    for entry in fields(ServeSettings):
        default = defaults.get(entry.name, entry.default)
        about = f"{entry.metadata['help']} (default: {default})" if default != "" else entry.metadata["help"]
        parser.add_argument(
            f"--{entry.name.replace('_', '-')}", type=types[entry.name], metavar=types[entry.name].__name__.upper(),
            help=f"{about} [{variable_of(entry.name)}]",
        )  # fmt: skip
    about = "serve without keys wherever it listens: the same as --auth off"
    parser.add_argument("--no-auth", action="store_true", help=about)


def run(options: argparse.Namespace) -> int:
    settings = ServeSettings.read(vars(options))
    if options.no_auth:
        settings = replace(settings, auth="off")
    require_extra()
    if options.create_key or options.revoke_key:
        return _keys(settings, options)
    if options.worker:
        from songbloom.serve.worker import run_worker

        return run_worker(settings, supervised=options.supervised)
    from songbloom.serve.run import serve

    serve(settings, reload=options.reload)
    return DONE


def _keys(settings: ServeSettings, options: argparse.Namespace) -> int:
    from songbloom.serve.auth import create_key, revoke_key
    from songbloom.serve.database import connect, migrate, private_folder

    private_folder(settings.data_dir)
    engine = connect(settings)
    migrate(settings, engine)
    if options.create_key:
        write_line(create_key(engine, options.create_key, admin=options.admin))
    else:
        revoke_key(engine, options.revoke_key)
    return DONE
