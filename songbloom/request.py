"""What a user asks for: one type for the command line, the REST service and the web page, checked once.

Importing this module loads neither torch nor a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from songbloom.errors import InvalidInput

Guidance = Literal["h", "global", "none"]
Solver = Literal["euler", "midpoint", "adams"]
Quantization = Literal["none", "int8", "int4"]
GUIDANCE: tuple[str, ...] = get_args(Guidance)
SOLVERS: tuple[str, ...] = get_args(Solver)
QUANTIZATIONS: tuple[str, ...] = get_args(Quantization)
PROFILES = ("none", "auto")
OPTIMIZATION_LEVELS = ("minimal", "standard", "aggressive")
MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class SongSettings:
    """How a song is generated. ``None`` takes what the model recommends.

    Attributes:
        seed: 0 to 2**63 - 1; None draws one, which the song then reports.
        cfg_coef: guidance, 0 to 5; 1 is none.
        steps: diffusion steps per block, 1 to 100 (a model may need more than 1).
        top_k: candidates for each sketch token, 1 to 1000; 0 keeps all.
        top_p: 0 to 1; above 0 it replaces top_k.
        min_p: 0 to 1; drops tokens less likely than this share of the likeliest.
        temperature: of the sketch, 0 (greedy) to 2.
        diffusion_temperature: of the latents, 0 to 1.
        max_duration: longest song in seconds, above 0; rounded up to a whole block.
        guidance: what the refiner is guided by: 'h', 'global' or 'none'.
        guidance_from, guidance_to: flow times, 1 (noise) to 0 (sound), between which 'h' guides.
        solver: of the flow: 'euler', 'midpoint' or 'adams'; each evaluates it ``steps`` times; None is the model's own.
    """

    seed: int | None = None
    cfg_coef: float | None = None
    steps: int | None = None
    top_k: int | None = None
    top_p: float = 0.0
    min_p: float = 0.0
    temperature: float | None = None
    diffusion_temperature: float | None = None
    max_duration: float | None = None
    guidance: str | None = None
    guidance_from: float = 1.0
    guidance_to: float = 0.0
    solver: str | None = None

    def __post_init__(self) -> None:
        _check_integer("seed", self.seed, 0, MAX_SEED)
        _check_number("cfg_coef", self.cfg_coef, 0, 5)
        _check_integer("steps", self.steps, 1, 100)
        _check_integer("top_k", self.top_k, 0, 1000)
        for name in ("top_p", "min_p", "guidance_from", "guidance_to"):
            _check_number(name, getattr(self, name), 0, 1, optional=False)
        if self.guidance_to > self.guidance_from:
            remedy = f"must not be above guidance_from, {self.guidance_from:g}; time runs from 1 to 0"
            raise InvalidInput("guidance_to", self.guidance_to, remedy)
        _check_number("temperature", self.temperature, 0, 2)
        _check_number("diffusion_temperature", self.diffusion_temperature, 0, 1)
        _check_number("max_duration", self.max_duration, 0, 3600)
        if self.max_duration == 0:
            raise InvalidInput("max_duration", 0, "must be above 0 seconds")
        if self.guidance is not None and self.guidance not in GUIDANCE:
            raise InvalidInput("guidance", self.guidance, f"must be one of {', '.join(GUIDANCE)}")
        if self.solver is not None and self.solver not in SOLVERS:
            raise InvalidInput("solver", self.solver, f"must be one of {', '.join(SOLVERS)}")

    def seed_of(self, sample: int) -> int:
        """Seed of the ``sample``-th of several songs: they count up, and after the largest go on from 0."""
        return ((self.seed or 0) + sample) % (MAX_SEED + 1)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> SongSettings:
        """Settings from names and values; an unknown name is an error, not ignored."""
        known = {f.name for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InvalidInput(name, value, f"unknown setting; known are {', '.join(sorted(known))}")
        return cls(**values)


@dataclass(frozen=True)
class SongRequest:
    """One song to make.

    Attributes:
        lyrics: text with or without section tags (``songbloom.lyrics`` tells what is understood).
        prompt_wav: the style clip, any audio file of at least one second.
        prompt_start: where in the file the clip's first 10 s begin, in seconds.
        idx: name of the song, used for its file: letters, digits, '.', '_' and '-'.
        settings: how to generate it.
    """

    lyrics: str
    prompt_wav: str | Path
    prompt_start: float = 0.0
    idx: str = "song"
    settings: SongSettings = field(default_factory=SongSettings)

    def __post_init__(self) -> None:
        if not isinstance(self.lyrics, str):
            raise InvalidInput("lyrics", self.lyrics, "must be text")
        try:
            self.lyrics.encode("utf-8")
        except UnicodeEncodeError as error:
            remedy = "hold broken characters (lone surrogates); save them as UTF-8"
            raise InvalidInput("lyrics", self.lyrics, remedy) from error
        if not isinstance(self.prompt_wav, (str, Path)) or not str(self.prompt_wav):
            raise InvalidInput("prompt_wav", self.prompt_wav, "must name an audio file of at least one second")
        _check_number("prompt_start", self.prompt_start, 0, 36000, optional=False)
        check_idx(self.idx)


def check_idx(idx: Any) -> None:
    """An ``idx`` becomes a file name, so it must be one and nothing more."""
    allowed = isinstance(idx, str) and all(c.isalnum() or c in "._-" for c in idx)
    if not allowed or not idx or idx.startswith(".") or len(idx.encode()) > 100:
        remedy = "must be 1 to 100 letters, digits, '.', '_' or '-', not starting with '.'; it names the song's file"
        raise InvalidInput("idx", idx, remedy)


def _check_number(name: str, value: Any, low: float, high: float, *, optional: bool = True) -> None:
    if value is None and optional:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # NaN is not either
        raise InvalidInput(name, value, f"must be a number from {low} to {high}")


def _check_integer(name: str, value: Any, low: int, high: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInput(name, value, f"must be a whole number from {low} to {high}")
