"""Colours and fonts of the page. Fonts are the system's: nothing is asked from other hosts."""

from __future__ import annotations

import gradio as gr

_SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Noto Sans", "PingFang SC", "Noto Sans CJK SC", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")
_GRADIENT = "linear-gradient(115deg, #6d28d9 0%, #a21caf 55%, #be185d 100%)"
_GRADIENT_HOVER = "linear-gradient(115deg, #5b21b6 0%, #86198f 55%, #9d174d 100%)"


def studio_theme() -> gr.themes.Base:
    """Violet to pink on calm greys, rounded, readable in light and dark."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.violet,
        secondary_hue=gr.themes.colors.fuchsia,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_lg,
        font=list(_SANS),
        font_mono=list(_MONO),
    )
    return theme.set(
        body_background_fill="#f6f5fb",
        body_background_fill_dark="#12101c",
        body_text_color="#1e1b2e",
        body_text_color_dark="#edeaf7",
        body_text_color_subdued="#565170",
        body_text_color_subdued_dark="#b3adc9",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1b1829",
        block_border_color="#e3e0f0",
        block_border_color_dark="#332e4a",
        block_label_text_color="#4c1d95",
        block_label_text_color_dark="#d6c8ff",
        block_title_text_color="#2b2545",
        block_title_text_color_dark="#edeaf7",
        block_info_text_color="#565170",
        block_info_text_color_dark="#b3adc9",
        input_background_fill="#ffffff",
        input_background_fill_dark="#14111f",
        input_border_width="1px",
        input_border_width_dark="1px",
        input_border_color="#8a84a6",
        input_border_color_dark="#6a6389",
        input_placeholder_color="#6b6685",
        input_placeholder_color_dark="#9a94b5",
        button_primary_background_fill=_GRADIENT,
        button_primary_background_fill_dark=_GRADIENT,
        button_primary_background_fill_hover=_GRADIENT_HOVER,
        button_primary_background_fill_hover_dark=_GRADIENT_HOVER,
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        slider_color="#7c3aed",
        slider_color_dark="#a78bfa",
    )
