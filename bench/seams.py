"""``python -m bench.seams [SECONDS]``: can one hear where a long song forgets its oldest blocks?

The bundled model makes a song much longer than what it remembers. At every frame the sound just before is held against
the sound just after: the step of loudness and that of the spectrum (root mean square over mel bands), in dB.
Prints both for frames where the window had just slid, for other seams of blocks and for frames inside blocks, and one
JSON line.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch

from songbloom.audio.mel import FRAMES_A_SECOND, mel_levels
from songbloom.generate.patches import compose, start
from songbloom.pipeline import load
from songbloom.request import SongRequest, SongSettings

EXAMPLE = Path(__file__).parents[1] / "example"
SIDE_S = 0.08  # of sound on either side


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    model = load("songbloom_mini")
    song = (EXAMPLE / "lyrics/engine.txt").read_text(encoding="utf-8").strip()
    settings = SongSettings(seed=1, max_duration=seconds)
    # Lyrics have an end, so most of such a song is played. In this tempo beats do not fall on seams.
    lyrics = f"{song}\n\n[inst {round(seconds - 80)}s]\n\n[verse]\nI left a lantern by the door\n\n[outro 20s]"
    prepared = model.prepare(SongRequest(lyrics, EXAMPLE / "clips/rock.flac", settings=settings))
    frame_rate = model.vae.sample_rate / model.vae.downsampling_ratio
    state = start(model.net, model.tasks(prepared, [1]), window_frames=model.config.max_duration_s * frame_rate)
    slid, patches, before = [], [], 0
    for patch in compose(model.net, state):
        if state.cache.position < before:
            slid.append(patch.block)
        before = state.cache.position
        patches.append(patch)
    audio = model.decode(torch.cat([p.latents for p in patches], dim=1)).numpy()

    levels = mel_levels(audio, model.vae.sample_rate)
    side = round(SIDE_S * FRAMES_A_SECOND)
    block, kinds = model.config.net.block_size, {}
    for frame in range(1, len(patches) * block):
        at = round(frame / frame_rate * FRAMES_A_SECOND)
        left, right = levels[at - side : at], levels[at : at + side]
        if min(len(left), len(right)) < side:
            continue
        power = [10 * np.log10((10 ** (part / 10)).mean()) for part in (left, right)]
        step = abs(power[1] - power[0]), float(np.sqrt(np.square(right.mean(0) - left.mean(0)).mean()))
        seam = frame % block == 0
        kind = "window slid" if seam and frame // block in slid else "block seam" if seam else "inside"
        kinds.setdefault(kind, []).append(step)
    answer = {"seconds": round(len(patches) * model.seconds_per_block, 1)}
    sys.stdout.write(f"{'':<14}{'frames':>8}{'loudness':>10}{'spectrum':>10}   (medians)\n")
    for kind, steps in sorted(kinds.items()):
        loudness, spectrum = np.median(steps, axis=0)
        answer[kind] = {"frames": len(steps), "loudness": round(loudness, 3), "spectrum": round(spectrum, 3)}
        sys.stdout.write(f"{kind:<14}{len(steps):>8}{loudness:>10.3f}{spectrum:>10.3f}\n")
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
