"""Everything that can be set about the service: options of ``songbloom serve`` and ``SONGBLOOM_*`` variables."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from songbloom.errors import InvalidInput
from songbloom.request import OPTIMIZATION_LEVELS, PROFILES, QUANTIZATIONS

LOOPBACK = ("localhost", "127.0.0.1", "::1")
AUTH = ("auto", "on", "off")


def _option(
    default: Any, help: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class ServeSettings:
    """The settings of API and workers alike; checked when made.

    Raises:
        InvalidInput: names the setting at fault.
    """

    host: str = _option("127.0.0.1", "address to listen on")
    port: int = _option(8000, "port to listen on; 0 takes a free one", 0, 65535)
    data_dir: Path = _option(Path("songbloom-data"), "where jobs and audio live")
    database_url: str = _option("", "sqlite:///FILE or postgresql://... (default: a file in the data dir)")
    storage_url: str = _option("", "where audio lives, any fsspec URL (default: a folder in the data dir)")
    model: str = _option("songbloom_mini", "model that workers load first")
    local_dir: str = _option("./cache", "where downloaded models lie")
    device: str = _option("auto", "of the workers: auto, cuda, cuda:N, mps or cpu")
    dtype: str = _option("auto", "of the workers: auto, float32, bfloat16 or float16")
    quantization: str = _option("none", "of the workers: none, int8 or int4", choices=QUANTIZATIONS)
    profile: str = _option("auto", "auto: what is not chosen above follows the memory that is free", choices=PROFILES)
    optimization_level: str = _option("standard", "of the workers", choices=OPTIMIZATION_LEVELS)
    workers: int = _option(1, "worker processes, one song at a time each; 0 serves the API alone", 0, 64)
    max_queue: int = _option(1000, "jobs that may wait", 1, 1_000_000)
    max_attempts: int = _option(3, "times a job is begun before it fails for good", 1, 100)
    max_upload_mb: float = _option(50.0, "largest upload in megabytes", 0.001, 10_000)
    max_upload_s: float = _option(900.0, "longest style clip in seconds", 1, 36_000)
    upload_timeout_s: float = _option(300.0, "longest time an upload may take in seconds", 1, 36_000)
    auth: str = _option("auto", "API keys: on, off, or auto: on unless bound to loopback", choices=AUTH)
    rate_per_minute: float = _option(600.0, "requests a minute and key", 1, 1_000_000)
    max_jobs_per_key: int = _option(50, "unfinished jobs a key may have", 1, 1_000_000)
    keep_days: float = _option(36_500.0, "finished jobs older than this are removed", 0.0, 36_500)
    quota_gb: float = _option(50.0, "gigabytes of audio to keep; beyond it the oldest jobs go", 0.0, 1_000_000)
    cors_origins: str = _option("", "origins whose web pages may call the API, separated by commas")
    sync_timeout_s: float = _option(3600.0, "longest wait of /generate/sync in seconds", 0.1, 86_400)
    worker_silence_s: float = _option(15.0, "a worker silent for so long has its job handed on", 1, 3600)

    def __post_init__(self) -> None:
        for entry in fields(self):
            _check(entry, getattr(self, entry.name))
        kind = self.database_url.partition(":")[0].partition("+")[0]
        if self.database_url and kind not in ("sqlite", "postgresql", "postgres"):
            raise InvalidInput("database_url", kind, "must begin with sqlite:/// or postgresql://")

    @property
    def auth_on(self) -> bool:
        return self.auth == "on" or (self.auth == "auto" and self.host not in LOOPBACK)

    @property
    def max_upload_bytes(self) -> int:
        return int(self.max_upload_mb * 1_000_000)

    @property
    def origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]

    @classmethod
    def read(cls, options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> ServeSettings:
        """Settings from options (None: not given), else ``SONGBLOOM_*`` variables, else the defaults."""
        environment = os.environ if environment is None else environment
        types = get_type_hints(cls)
        values: dict[str, Any] = {}
        for entry in fields(cls):
            variable = variable_of(entry.name)
            if options.get(entry.name) is not None:
                values[entry.name] = options[entry.name]
            elif environment.get(variable):
                values[entry.name] = _parse(variable, environment[variable], types[entry.name])
        return cls(**values)

    def environment(self) -> dict[str, str]:
        """The variables from which :meth:`read` makes the same settings; how workers are told."""
        return {variable_of(entry.name): str(getattr(self, entry.name)) for entry in fields(self)}


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"SONGBLOOM_{name.upper()}"


def _parse(variable: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidInput(variable, text, f"must be of the kind {kind.__name__}") from error


def _check(entry: Field[Any], value: Any) -> None:
    low, high, choices = entry.metadata["low"], entry.metadata["high"], entry.metadata["choices"]
    if low is not None and not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(entry.name, value, f"must be from {low:g} to {high:g}")
    if choices and value not in choices:
        raise InvalidInput(entry.name, value, f"must be one of {', '.join(choices)}")
