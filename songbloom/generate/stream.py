"""Audio of a song while it is composed: latents go in block by block, audio comes out as soon as it is final."""

from __future__ import annotations

import torch
from torch import Tensor

from songbloom.model.vae import Vae


class StreamDecoder:
    """Decodes latents as they come; what it has given out, put together, is the decoding of the whole.

    A sample is final once the latents that reach it are there, so the audio runs ``context`` latents behind until
    :meth:`finish`. The state is the last latents, no more than a block and two contexts.

    Args:
        vae: decodes [1, L, F].
        context: latents on either side that a latent's audio depends on; by default what the VAE says.
    """

    def __init__(self, vae: Vae, context: int | None = None) -> None:
        self.vae = vae
        self.context = vae.context if context is None else context
        self._kept: Tensor | None = None  # [L, n], ending with the latents whose audio is still to come
        self._waiting = 0

    def push(self, latents: Tensor) -> Tensor:
        """Audio [channels, m] that became final with ``latents`` [L, n]; m may be 0."""
        self._kept = latents if self._kept is None else torch.cat([self._kept, latents], dim=1)
        self._waiting += latents.shape[1]
        return self._give_out(max(0, self._waiting - self.context))

    def remember(self, latents: Tensor) -> None:
        """As :meth:`push` [L, n] whose audio nobody needs any more: nothing is decoded."""
        kept = latents if self._kept is None else torch.cat([self._kept, latents], dim=1)
        self._waiting = min(self._waiting + latents.shape[1], self.context)
        self._kept = kept[:, max(0, kept.shape[1] - self._waiting - self.context) :]

    def finish(self) -> Tensor:
        """The rest of the audio."""
        return self._give_out(self._waiting)

    @torch.no_grad()
    def _give_out(self, count: int) -> Tensor:
        ratio = self.vae.downsampling_ratio
        if self._kept is None or count == 0:
            return torch.zeros(self.vae.audio_channels, 0)
        first = self._kept.shape[1] - self._waiting
        audio = self.vae.decode(self._kept[None])[0, :, first * ratio : (first + count) * ratio]
        self._waiting -= count
        self._kept = self._kept[:, max(0, first + count - self.context) :]
        return audio.float().cpu()
