"""What Gradio lays out: tabs, text boxes, sliders. The scripts in static/ fill the rest and talk to the service.

No Gradio function runs on the server: every event is one of the page's own scripts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from songbloom.serve.sound import MEDIA_TYPES

#: Values of guidance, steps, top-k and temperature; ``auto`` sends none, so that the model's own hold.
PRESETS: dict[str, tuple[float, int, int, float]] = {
    "auto": (1.5, 50, 200, 0.9),
    "quick": (1.5, 10, 200, 0.9),
    "fine": (1.5, 100, 200, 0.9),
    "close": (2.5, 50, 100, 0.8),
    "wild": (1.2, 50, 400, 1.15),
}
FORMATS = tuple(MEDIA_TYPES)
LONGEST_S = 300
_STRINGS = Path(__file__).parent / "strings.json"


def strings() -> dict[str, dict[str, str]]:
    """Every word of the page: key -> language -> text."""
    table: dict[str, dict[str, str]] = json.loads(_STRINGS.read_text(encoding="utf-8"))
    return table


def translations() -> gr.I18n:
    """The same table as Gradio wants it."""
    table = strings()
    languages = {name: {key: entry[name] for key, entry in table.items()} for name in ("en", "zh")}
    return gr.I18n(**languages, **{"zh-CN": languages["zh"]})


@dataclass(frozen=True)
class Controls:
    """What the page sends with a song, in the order the scripts know (static/create.js)."""

    title: gr.Textbox
    lyrics: gr.Textbox
    preset: gr.Radio
    cfg_coef: gr.Slider
    steps: gr.Slider
    top_k: gr.Slider
    temperature: gr.Slider
    samples: gr.Slider
    max_duration: gr.Slider
    seed: gr.Textbox
    format: gr.Dropdown

    def all(self) -> list[Any]:
        return list(vars(self).values())  # not asdict, which would copy components

    def shaped_by_preset(self) -> list[Any]:
        return [self.cfg_coef, self.steps, self.top_k, self.temperature]


def build_page() -> gr.Blocks:
    """The page."""
    t = translations()
    with gr.Blocks(title="SongBloom Studio", analytics_enabled=False, fill_width=True) as page:
        _slot("header", "header")
        with gr.Tabs(elem_id="sb-tabs"):
            with gr.Tab(t("tab_create"), id="create"), gr.Row(elem_classes="sb-columns"):
                with gr.Column(scale=6, min_width=320):
                    controls = _controls(t)
                    go = gr.Button(t("create"), variant="primary", size="lg", elem_id="sb-create")
                    _slot("refused", "div")
                with gr.Column(scale=5, min_width=320):
                    _slot("now", "section")
            with gr.Tab(t("tab_library"), id="library"):
                _slot("library", "section")
            with gr.Tab(t("tab_model"), id="model"):
                _slot("model", "section")
        _wire(controls, go)
    return page


def _slot(name: str, tag: str) -> None:
    """A place that a script fills."""
    place = f'<{tag} id="sb-{name}" class="sb"></{tag}>'
    gr.HTML(place, elem_classes="sb-slot", js_on_load=None, apply_default_css=False)


def _controls(t: gr.I18n) -> Controls:
    lyrics = gr.Textbox(label=t("lyrics"), placeholder=t("lyrics_hint"), lines=12, max_lines=24, elem_id="sb-lyrics")
    _slot("lyrics-help", "section")
    _slot("clip", "section")
    title = gr.Textbox(label=t("title"), placeholder=t("title_hint"), max_length=200, elem_id="sb-title")
    with gr.Accordion(t("settings"), open=False, elem_id="sb-settings"):
        choices: list[Any] = [(t(f"preset_{name}"), name) for name in (*PRESETS, "custom")]
        preset = gr.Radio(choices, value="auto", label=t("preset"), elem_id="sb-preset")
        with gr.Row():
            samples = _slider(t, "samples", 1, 5, 1, 1)
            max_duration = _slider(t, "max_duration", 0, LONGEST_S, 1, 0)
        guidance, steps_default, top_k_default, warmth = PRESETS["auto"]
        with gr.Row():
            cfg_coef = _slider(t, "cfg_coef", 0, 5, 0.1, guidance)
            steps = _slider(t, "steps", 10, 100, 1, steps_default)
        with gr.Row():
            top_k = _slider(t, "top_k", 50, 500, 10, top_k_default)
            temperature = _slider(t, "temperature", 0, 2, 0.05, warmth)
        with gr.Row():
            seed = gr.Textbox(label=t("seed"), info=t("seed_info"), max_length=30, elem_id="sb-seed")
            format = gr.Dropdown(list(FORMATS), value="flac", label=t("format"), elem_id="sb-format", filterable=False)
    return Controls(title, lyrics, preset, cfg_coef, steps, top_k, temperature, samples, max_duration, seed, format)


def _slider(t: gr.I18n, name: str, low: float, high: float, step: float, value: float) -> gr.Slider:
    return gr.Slider(
        low, high, value, step=step, label=t(name), info=t(f"{name}_info"), elem_id=f"sb-{name.replace('_', '-')}"
    )


def _wire(controls: Controls, go: gr.Button) -> None:
    """Events, each a script of the page."""
    go.click(None, controls.all(), None, js="(...values) => { window.songbloom.create(values); }")
    shaped = controls.shaped_by_preset()
    pick = f"(name, ...now) => ({json.dumps(PRESETS)})[name] ?? now"
    controls.preset.input(None, [controls.preset, *shaped], shaped, js=pick)
    for slider in shaped:
        slider.input(None, None, controls.preset, js="() => 'custom'")
    # How a script fills in the settings of an earlier song: it presses this button, which nobody sees.
    fill = gr.Button("", elem_id="sb-fill", elem_classes="sb-hidden")
    fill.click(None, controls.all(), controls.all(), js="(...now) => window.songbloom.filled(now)")
