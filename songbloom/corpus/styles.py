"""The bands: which instruments play which patterns in which sections.

A pattern has sixteen steps a bar: ``x`` plays, ``X`` plays loud, ``.`` rests. Each style has two variants of its
drums; a card's seed chooses between them.
"""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """One player.

    ``mode``: ``block`` chords, ``arp`` chord tones one by one, ``root``/``octave``/``walk`` bass lines, ``power``
    root and fifth, ``lead`` a hook of its own (where nobody sings). ``held`` is the share of the time to the next
    stroke a note lasts; ``base`` the lowest MIDI note of its register; ``pan`` -1 left to 1 right; ``where`` the
    letters of the sections played in: i intro, v verse, c chorus, b bridge, n inst, o outro.
    """

    tone: str
    mode: str
    pattern: str
    base: int
    level: float
    pan: float
    where: str = "ivcbno"
    held: float = 0.95


class Style(NamedTuple):
    """A band; ``drums`` are variants of (drum -> pattern), ``chorus_drums`` joins them in choruses."""

    parts: tuple[Part, ...]
    drums: tuple[dict[str, str], ...] = ({},)
    chorus_drums: dict[str, str] | None = None
    fill: str = ""  # drum that fills at section ends


HOOK = "x.x.x...x.x....."
STYLE_BANDS: dict[str, Style] = {
    "piano_ballad": Style(
        (
            Part("piano", "arp", "X.x.x.x.X.x.x.x.", 57, 0.50, -0.25, held=2.0),
            Part("piano", "block", "X.......x.......", 50, 0.32, -0.1, "cbn"),
            Part("piano", "root", "X.......x.......", 36, 0.55, 0.1, held=1.0),
            Part("strings", "block", "X...............", 60, 0.16, 0.4, "cbo"),
            Part("piano", "lead", HOOK, 69, 0.42, 0.2, "in"),
        ),
        fill="",
    ),
    "synthpop": Style(
        (
            Part("synthbass", "root", "X.x.x.x.X.x.x.x.", 36, 0.55, 0.0, "vcbno", 0.7),
            Part("saw", "arp", "xxxxxxxxxxxxxxxx", 60, 0.22, 0.45, "icn", 0.8),
            Part("saw", "block", "..x...x...x...x.", 57, 0.16, -0.45, "vb", 0.6),
            Part("pad", "block", "X...............", 55, 0.26, 0.0, "ivcbno", 1.0),
            Part("square", "lead", HOOK, 72, 0.22, -0.2, "ino"),
        ),
        (
            {"kick": "X...X...X...X...", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X.....x.X.......", "clap": "....X.......X...", "hat": "xxx.xxx.xxx.xxx."},
        ),
        {"openhat": "..x...x...x...x."},
        "tom",
    ),
    "rock": Style(
        (
            Part("distorted", "power", "X.x.x.x.X.x.x.x.", 43, 0.24, -0.55, "icno", 0.9),
            Part("distorted", "power", "X...x...X...x.x.", 43, 0.22, 0.55, "vcbno", 0.8),
            Part("bass", "root", "X.x.x.x.X.x.x.x.", 31, 0.55, 0.0, "vcbno", 0.9),
            Part("distorted", "lead", HOOK, 64, 0.24, 0.15, "n"),
        ),
        (
            {"kick": "X.....x.X.x.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x....X.x.....", "snare": "....X.......X..x", "hat": "X...x...X...x..."},
        ),
        {"openhat": "x...x...x...x..."},
        "snare",
    ),
    "folk": Style(
        (
            Part("pluck", "arp", "X.x.x.x.X.x.x.x.", 55, 0.50, -0.35, held=1.8),
            Part("pluck", "block", "X...x.x...x.x.x.", 52, 0.24, 0.35, "cbn", 0.8),
            Part("nylon", "root", "X.......x.......", 40, 0.55, 0.0, "vcbno"),
            Part("organ", "block", "X...............", 60, 0.07, 0.3, "cb", 1.0),
            Part("nylon", "lead", HOOK, 67, 0.45, 0.3, "in"),
        ),
        ({"shaker": "x.x.x.x.x.x.x.x."}, {"shaker": "..x...x...x...x.", "softkick": "X.......X......."}),
        {"softkick": "X...X...X...X..."},
        "",
    ),
    "reggae": Style(
        (
            Part("organ", "block", "....x.......x...", 57, 0.20, 0.4, "vbno", 0.35),
            Part("organ", "block", "..x...x...x...x.", 60, 0.20, -0.3, "icn", 0.4),
            Part("nylon", "block", "....X.......X...", 55, 0.34, -0.4, "ivcbn", 0.3),
            Part("bass", "walk", "X..x..x...x.x...", 31, 0.70, 0.0, "vcbno", 0.8),
            Part("brass", "lead", HOOK, 62, 0.20, 0.2, "in"),
        ),
        (
            {"kick": "........X.......", "rim": "........X.......", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X.......X.......", "rim": "....x.......x..x", "hat": "..x...x...x...x."},
        ),
        {"openhat": "......x.......x."},
        "tom",
    ),
    "chiptune": Style(
        (
            Part("square", "arp", "xxxxxxxxxxxxxxxx", 60, 0.20, -0.4, "ivcbno", 0.7),
            Part("square", "arp", "x.xx.xx.x.xx.xx.", 72, 0.14, 0.4, "cn", 0.6),
            Part("triangle", "octave", "X.x.x.x.X.x.x.x.", 36, 0.60, 0.0, "vcbno", 0.8),
            Part("square", "lead", HOOK, 76, 0.20, 0.1, "ino"),
        ),
        (
            {"noise": "....X.......X...", "softkick": "X...x...X...x..."},
            {"noise": "x.x.X.x.x.x.X.xx", "softkick": "X.....x.X.x....."},
        ),
        {"noise": "..x...x...x...x."},
        "noise",
    ),
    "lofi": Style(
        (
            Part("epiano", "block", "X.....x...x.....", 54, 0.34, -0.2, "ivcbno", 1.0),
            Part("bass", "walk", "X...x...X...x...", 36, 0.55, 0.0, "vcbno", 0.9),
            Part("bell", "lead", HOOK, 72, 0.20, 0.4, "in"),
            Part("pad", "block", "X...............", 60, 0.16, 0.2, "cb", 1.0),
        ),
        (
            {"softkick": "X......x..X.....", "rim": "....X.......X...", "shaker": "x.x.x.x.x.x.x.x."},
            {"softkick": "X.....X...x.....", "rim": "....X.......X..x", "hat": "x.xxx.x.x.xxx.x."},
        ),
        {"hat": "..x...x...x...x."},
        "rim",
    ),
    "house": Style(
        (
            Part("piano", "block", "X..x..x...X..x..", 60, 0.32, -0.3, "icno", 0.6),
            Part("synthbass", "octave", "..x.x.x...x.x.x.", 36, 0.62, 0.0, "vcbno", 0.6),
            Part("pad", "block", "X...............", 57, 0.22, 0.3, "vcb", 1.0),
            Part("strings", "lead", HOOK, 69, 0.16, 0.4, "no"),
        ),
        (
            {"kick": "X...X...X...X...", "openhat": "..x...x...x...x.", "clap": "....X.......X..."},
            {"kick": "X...X...X...X...", "hat": "x.X.x.X.x.X.x.X.", "clap": "....X.......X.x."},
        ),
        {"shaker": "xxxxxxxxxxxxxxxx"},
        "clap",
    ),
    "orchestral": Style(
        (
            Part("strings", "block", "X...............", 55, 0.26, -0.4, "ivcbno", 1.0),
            Part("strings", "arp", "x.x.x.x.x.x.x.x.", 60, 0.24, 0.4, "vcb", 0.7),
            Part("strings", "root", "X.......x.......", 36, 0.38, 0.2, "vcbno", 1.0),
            Part("brass", "block", "X.......X...x...", 52, 0.15, 0.1, "cn", 0.9),
            Part("bell", "lead", HOOK, 76, 0.18, 0.3, "ino"),
        ),
        ({"timpani": "X.............x."}, {"timpani": "X.......x......."}),
        {"crash": "x..............."},
        "timpani",
    ),
    "funk": Style(
        (
            Part("epiano", "block", "x..x..x.x..x....", 57, 0.26, -0.35, "ivcbno", 0.4),
            Part("nylon", "block", "..x.x.xx..x.x.x.", 62, 0.20, 0.5, "vcn", 0.3),
            Part("synthbass", "octave", "X..x..x.X..x.xx.", 31, 0.62, 0.0, "vcbno", 0.6),
            Part("brass", "block", "X.........x.x...", 60, 0.16, 0.25, "cn", 0.35),
            Part("brass", "lead", HOOK, 67, 0.20, 0.2, "in"),
        ),
        (
            {"kick": "X..x..x...x.....", "snare": "....X..x.x..X..x", "hat": "xxxxxxxxxxxxxxxx"},
            {"kick": "X.x.......xx....", "snare": "....X.......X...", "hat": "x.xxx.xxx.xxx.xx"},
        ),
        {"openhat": "......x.......x."},
        "tom",
    ),
}
