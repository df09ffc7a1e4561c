"""``python -m bench.solvers``: how far is what each solver of the flow paints from 100 Euler steps, at equal cost?

The bundled model paints the blocks of one song again, told the same words, melody and noise. Prints a table of
relative errors of the latents (root mean square), by evaluations a block, and one JSON line.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from songbloom.evaluate.stages import repaint
from songbloom.pipeline import load
from songbloom.request import SOLVERS, SongRequest, SongSettings

EXAMPLE = Path(__file__).parents[1] / "example"
STEPS = (4, 6, 10, 20, 36)
TEMPERATURES = (1.0, None)  # None: the model's own


def main() -> None:
    model = load("songbloom_mini")
    lyrics = (EXAMPLE / "lyrics/lantern.txt").read_text(encoding="utf-8")
    request = SongRequest(lyrics, EXAMPLE / "clips/folk.flac", settings=SongSettings(seed=1))
    prepared = model.prepare(request)
    patches = list(model.patches(prepared))
    tokens, latents = torch.cat([p.tokens for p in patches]), torch.cat([p.latents for p in patches], dim=1)
    answer: dict[str, dict[str, list[float]]] = {}
    for temperature in TEMPERATURES:
        task = model.tasks(prepared, [1])[0]
        own = task.settings if temperature is None else replace(task.settings, diffusion_temperature=temperature)

        def painted(solver: str, steps: int, task=task, own=own) -> torch.Tensor:
            settings = replace(own, solver=solver, steps=steps)
            return repaint(model.net, replace(task, settings=settings), tokens, latents)

        exact = painted("euler", 100)
        scale = exact.square().mean().sqrt()
        table = {
            solver: [float((painted(solver, steps) - exact).square().mean().sqrt() / scale) for steps in STEPS]
            for solver in SOLVERS
        }
        name = f"temperature {own.diffusion_temperature:g}"
        answer[name] = {solver: [round(error, 4) for error in row] for solver, row in table.items()}
        sys.stdout.write(f"{name}\n{'evaluations':<12}{''.join(f'{steps:>9}' for steps in STEPS)}\n")
        for solver, row in table.items():
            sys.stdout.write(f"{solver:<12}{''.join(f'{error:>9.4f}' for error in row)}\n")
    sys.stdout.write(json.dumps({"steps": STEPS, "errors": answer}) + "\n")


if __name__ == "__main__":
    main()
