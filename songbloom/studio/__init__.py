"""The studio: a web page for making songs, mounted beside the REST service it talks to; see docs/studio.md.

    page.py       what Gradio lays out: tabs, text boxes, sliders
    theme.py      colours and fonts
    mount.py      the page, its scripts and the examples into the service's application
    examples.py   style clips and lyrics to begin with
    share.py      a public address, for ``--share``
    strings.json  every word of the page, English and Chinese
    static/       scripts and styles; they call the REST endpoints and nothing else

Songs are made by the service alone: the page sends the form of ``POST /generate`` and shows the problems it answers.
"""

from __future__ import annotations

from importlib.util import find_spec

from songbloom.errors import NotAvailable


def require_extra() -> None:
    """Raises NotAvailable, with the line that installs it, if the extra ``studio`` is not there."""
    if find_spec("gradio") is None:
        raise NotAvailable("the studio needs gradio; install it with: pip install 'songbloom[studio]'")
