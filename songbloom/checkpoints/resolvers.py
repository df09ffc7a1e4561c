"""Reads the published configuration: YAML whose values may refer to each other and to files beside it.

Understood, and nothing else (no ``eval``, no code in the YAML):

* ``${model.dim}``, ``${vae}``: the value of that key, counted from the root; a whole mapping is copied.
* ``${dynamic_path:???/vae.json}``: a path; ``???`` stands for the folder of the YAML file.
* ``${load_yaml:PATH}``: the contents of another YAML file of that folder.

They nest: ``${load_yaml:${dynamic_path:???/vocab.yaml}}``. The format: OmegaConf interpolations, unresolved.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from songbloom.errors import CheckpointError

_MAX_BYTES = 16 * 1024 * 1024
_MAX_NODES = 100_000
_MAX_DEPTH = 64


class _Loader(yaml.SafeLoader):
    """SafeLoader that also reads ``1e-4`` as a number, as OmegaConf does; YAML 1.1 takes it for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def load_config(path: Path) -> dict[str, Any]:
    """The configuration at ``path`` with every reference replaced by its value; numbers keep their type.

    Paths come out absolute and may not exist: which files are needed is the loader's matter.

    Raises:
        CheckpointError: the file is missing, too large or no YAML mapping; a reference is to a missing key or
            file, to itself, to a path outside the folder, or uses an unknown resolver (its key is named).
    """
    path = Path(path)
    root = _read_yaml(path)
    if not isinstance(root, dict):
        raise CheckpointError(f"{path}: expected a YAML mapping (key: value), found {type(root).__name__}")
    try:
        return _Resolution(path, root).resolve(root, ())
    except RecursionError:
        raise CheckpointError(f"{path}: nested too deeply") from None


def _read_yaml(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise CheckpointError(f"{path}: larger than {_MAX_BYTES >> 20} MiB, so not a configuration")
        # A subclass of SafeLoader: plain data only, as yaml.safe_load.
        return yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as YAML: {error}") from error


class _Resolution:
    """One pass over one configuration. Keys are tuples of the names on the way from the root."""

    def __init__(self, path: Path, root: dict[str, Any]) -> None:
        self._path = path
        self._folder = Path(os.path.normpath(path.parent.absolute()))
        self._root = root
        self._pending: list[str] = []
        self._nodes = 0

    def resolve(self, node: Any, key: tuple[str, ...]) -> Any:
        self._nodes += 1
        # Both limits stop files made to blow up: values that contain themselves or double at every reference.
        if self._nodes > _MAX_NODES or len(key) > _MAX_DEPTH:
            raise self._error(key[:4], "expands to more than a configuration can hold")
        if isinstance(node, dict):
            return {name: self.resolve(value, (*key, str(name))) for name, value in node.items()}
        if isinstance(node, list):
            return [self.resolve(value, (*key, str(index))) for index, value in enumerate(node)]
        if isinstance(node, str) and "${" in node:
            return self._text(node, key)
        return node

    def _text(self, text: str, key: tuple[str, ...]) -> Any:
        """``text`` with its interpolations filled in; one that is the whole text keeps its value's type."""
        parts: list[Any] = []
        position = 0
        while (start := text.find("${", position)) >= 0:
            end = self._closing_brace(text, start, key)
            if start > position:
                parts.append(text[position:start])
            parts.append(self._interpolation(text[start + 2 : end], key))
            position = end + 1
        if position < len(text):
            parts.append(text[position:])
        if len(parts) == 1:
            return parts[0]
        if any(isinstance(part, (dict, list)) for part in parts):
            raise self._error(key, f"{text!r} puts a mapping or list into a text")
        return "".join(str(part) for part in parts)

    def _closing_brace(self, text: str, start: int, key: tuple[str, ...]) -> int:
        depth = 0
        for match in re.compile(r"\$\{|\}").finditer(text, start):
            depth += 1 if match.group() == "${" else -1
            if depth == 0:
                return match.start()
        raise self._error(key, f"{text!r} has a ${{ without its }}")

    def _interpolation(self, body: str, key: tuple[str, ...]) -> Any:
        outer = body.partition("${")[0]
        if ":" not in outer:
            return self._reference(str(self.resolve(body, key)).strip(), key)
        name, _, argument = body.partition(":")
        value = self.resolve(argument.strip(), key)
        if not isinstance(value, str):
            raise self._error(key, f"${{{name}:...}} needs a path, got {type(value).__name__}")
        if name.strip() == "dynamic_path":
            return str(self._inside(value, key))
        if name.strip() == "load_yaml":
            return self._load_yaml(value, key)
        raise self._error(key, f"unknown resolver {name.strip()!r}; known: dynamic_path, load_yaml")

    def _reference(self, dotted: str, key: tuple[str, ...]) -> Any:
        if dotted in self._pending:
            raise self._error(key, "references go in a circle: " + " -> ".join([*self._pending, dotted]))
        if len(self._pending) >= _MAX_DEPTH:
            raise self._error(key, "references nest too deeply")
        self._pending.append(dotted)
        node: Any = self._root
        at: tuple[str, ...] = ()
        for name in re.sub(r"\[(\d+)\]", r".\1", dotted).split("."):
            if isinstance(node, str):
                node = self.resolve(node, at)
            node = self._child(node, name, f"${{{dotted}}} refers to a key that is not there", key)
            at = (*at, name)
        value = self.resolve(node, at)  # mappings and lists come out new, so nothing is shared
        self._pending.pop()
        return value

    def _child(self, node: Any, name: str, complaint: str, key: tuple[str, ...]) -> Any:
        if isinstance(node, dict):
            for candidate, value in node.items():
                if str(candidate) == name:
                    return value
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            return node[int(name)]
        raise self._error(key, complaint)

    def _inside(self, text: str, key: tuple[str, ...]) -> Path:
        # Compared as text, links not followed: download caches keep the real files elsewhere, linked to.
        path = Path(os.path.normpath(self._folder / text.replace("???", str(self._folder))))
        if self._folder not in path.parents:
            raise self._error(key, f"path {text!r} leads outside the folder of the configuration")
        return path

    def _load_yaml(self, text: str, key: tuple[str, ...]) -> Any:
        path = self._inside(text, key)
        try:
            return _read_yaml(path)
        except CheckpointError as error:
            raise self._error(key, str(error)) from error

    def _error(self, key: tuple[str, ...], what: str) -> CheckpointError:
        return CheckpointError(f"{self._path}: key {'.'.join(key) or '(root)'}: {what}")
