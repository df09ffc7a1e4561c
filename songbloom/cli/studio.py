"""``songbloom studio``: the web page and the REST service in one server."""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import replace
from functools import partial

from songbloom.cli.serve import add_settings
from songbloom.cli.terminal import DONE, Parser, write_line
from songbloom.serve import require_extra as require_serve
from songbloom.serve.settings import ServeSettings, variable_of
from songbloom.studio import require_extra

DEFAULT_PORT = 7860


def build_parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        f"Make songs in a web page, http://localhost:{DEFAULT_PORT}. The REST service answers at the same address.",
        "Options that show a [SONGBLOOM_...] can be given as that environment variable.",
    )
    add = parser.add_argument
    add("--share", action="store_true", help="also open a public address (through Gradio's tunnel), with a key")
    add("--server-port", dest="port", type=int, metavar="INT", help="the same as --port")
    add("--server-name", dest="host", metavar="STR", help="the same as --host")
    add("--auto-load-model", action="store_true", help="load the model at once, not with the first song")
    add_settings(parser, port=DEFAULT_PORT)
    parser.set_defaults(log_level=logging.INFO)
    return parser


def run(options: argparse.Namespace) -> int:
    given = vars(options)
    if given["port"] is None and not os.environ.get(variable_of("port")):
        given["port"] = DEFAULT_PORT
    if options.share and given["auth"] is None:
        given["auth"] = "on"  # the tunnel ends at loopback, where keys are off by themselves
    if options.no_auth:
        given["auth"] = "off"
    settings = ServeSettings.read(given)
    require_serve()
    require_extra()
    from songbloom.serve.run import serve
    from songbloom.studio.mount import mount_studio

    if options.share:
        from songbloom.studio.share import share

        addresses = share(settings)
        if not settings.auth_on:  # the tunnel's name is then one of this server's
            origins = f"{settings.cors_origins},{addresses.public.removesuffix('/')}"
            settings = replace(settings, cors_origins=origins)
        write_line(f"shared at {addresses.public}\nyours is {addresses.local}")
    serve(settings, page=partial(mount_studio, load=options.auto_load_model))
    return DONE
