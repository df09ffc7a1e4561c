"""Settings of training runs: fields that know their range and what they are, for errors and for the command line."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from songbloom.errors import InvalidInput


def setting(
    default: Any = dataclasses.MISSING,
    about: str = "",
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    among: tuple[str, ...] = (),
) -> Any:
    """A field of a dataclass of settings.

    Args:
        about: what it is, for the command line.
        least, above, most: bounds of a number; the second is not itself allowed.
        among: what a word may be.
    """
    return dataclasses.field(
        default=default, metadata={"about": about, "least": least, "above": above, "most": most, "among": among}
    )


def check_settings(settings: Any) -> None:
    """See that every :func:`setting` of a dataclass is within its range.

    Raises:
        InvalidInput: one is not, or is no number.
    """
    for field in dataclasses.fields(settings):
        value, range_ = getattr(settings, field.name), field.metadata
        if isinstance(value, str):
            if range_["among"] and value not in range_["among"]:
                raise InvalidInput(field.name, value, f"must be {' or '.join(range_['among'])}.")
        elif not isinstance(value, bool):
            least, above, most = range_["least"], range_["above"], range_["most"]
            if not (math.isfinite(value) and least <= value <= most and value > above):
                raise InvalidInput(field.name, value, f"must be {_range(least, above, most)}.")


def _range(least: float, above: float, most: float) -> str:
    lower = f"above {above:g}" if above > -math.inf else f"{least:g} or more" if least > -math.inf else "a number"
    if most == math.inf:
        return lower
    return f"{least:g} to {most:g}" if least > -math.inf else f"{lower}, at most {most:g}"
