"""The block loop against recorded generations: greedy runs end to end, sampled runs with their tokens forced."""

from __future__ import annotations

import pytest
import torch

from songbloom.generate import patches
from songbloom.generate.patches import ComposeSettings, SongTask, compose, start
from songbloom.generate.sampling import TokenSampling, filter_probabilities
from songbloom.model.vae import decode_chunked, encode_style
from tests.parity.conftest import GOLDENS, Golden, close

pytestmark = pytest.mark.parity
TAGS = sorted(path.name.split(".")[1] for path in GOLDENS.glob("generate.*.safetensors"))


class RecordedNoise:
    """The recorded run's noise. Token noise that is tiny at the recorded token forces it, if its p is not 0."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden

    def tokens(self, block: int, shape: tuple[int, ...]) -> torch.Tensor:
        noise = torch.ones(shape)
        if "tokens" in self.golden:
            recorded = self.golden["tokens"][0, block * shape[0] : (block + 1) * shape[0]]
            noise[torch.arange(len(recorded)), recorded] = 1e-30
            if not len(recorded):  # the recorded run discarded this block for an EOS somewhere in it
                noise[:, -1] = 1e-30
        return noise

    def flow(self, block: int, shape: tuple[int, ...]) -> torch.Tensor:
        return self.golden["diff_noise"][block]


def compose_settings(params: dict) -> ComposeSettings:
    cfg = params["cfg_coef"]
    lm_cfg, refiner_cfg = cfg if isinstance(cfg, list) else (cfg, cfg)
    sampling = TokenSampling(
        temperature=params["temp"] if params["use_sampling"] else 0.0,
        top_k=params["top_k"],
        penalty_repeat=params["penalty_repeat"],
        penalty_window=params["penalty_window"],
    )
    return ComposeSettings(
        max_frames=params["max_frames"],
        sampling=sampling,
        lm_cfg=lm_cfg,
        refiner_cfg=refiner_cfg,
        steps=params["steps"],
        diffusion_temperature=params["diff_temp"],
        guidance=params["dit_cfg_type"],
    )


@pytest.fixture
def spied(monkeypatch):
    """Logits before guidance, and those handed to the sampler, of every step."""
    seen: dict[str, list] = {"rows": [], "logits": []}
    guide, sample = patches.guide, patches.sample_token

    def spy_guide(conditional, null, coef):
        if conditional.dim() == 2:
            seen["rows"].append(torch.stack([conditional[0], null[0]]))
        return guide(conditional, null, coef)

    def spy_sample(logits, sampling, noise):
        seen["logits"].append(logits[0])
        return sample(logits, sampling, noise)

    monkeypatch.setattr(patches, "guide", spy_guide)
    monkeypatch.setattr(patches, "sample_token", spy_sample)
    return seen


@pytest.mark.parametrize("tag", TAGS)
@torch.no_grad()
def test_generation(model, conditions, cond, spied, tag):
    golden = Golden(GOLDENS / f"generate.{tag}.safetensors")
    params, kept = golden.metadata["params"], golden.metadata["blocks_kept"]
    settings, index = compose_settings(params), golden.metadata["cond_index"]
    net, block = model.net, model.net.config.block_size
    bias = net.classifier[2].bias.clone()
    try:
        if golden.metadata["eos_bias"] is not None:
            net.classifier[2].bias[net.config.eos] = golden.metadata["eos_bias"]
        style = encode_style(model.vae, cond[f"{index}.wav"], lambda shape: golden["prompt_enc_noise"][0])
        task = SongTask(net.prefix(style, conditions[index]["lyrics"]), RecordedNoise(golden), settings)
        song = list(compose(net, start(net, [task])))
    finally:
        net.classifier[2].bias.copy_(bias)

    if "tokens" in golden:
        assert len(song) == kept
        assert torch.equal(torch.cat([p.tokens for p in song])[None], golden["tokens"])
        close(torch.cat([p.latents for p in song], dim=1)[None], golden["latents"])
    elif params["use_sampling"] is False:
        assert song == []
    # The discarded block's tokens are not recorded, so only its first step is comparable.
    steps = min(kept * block + 1, len(spied["logits"]))
    rows, logits = torch.stack(spied["rows"][:steps]), torch.stack(spied["logits"][:steps])
    close(rows, golden["logits_pre_cfg"][:steps])
    if "logits_post" in golden:
        close(logits, golden["logits_post"][:steps])
    if "logits_post_div_temp" in golden:
        divided = logits / params["temp"]
        close(divided, golden["logits_post_div_temp"][:steps])
        if "probs_topk" in golden:
            probs = filter_probabilities(divided.softmax(-1), top_k=params["top_k"], top_p=0.0)
            close(probs, golden["probs_topk"][:steps])
    if "audio" in golden or "audio_head" in golden:
        audio = decode_chunked(model.vae, golden["latents"])
        if "audio" in golden:
            close(audio, golden["audio"])
        else:
            close(audio[..., : golden["audio_head"].shape[-1]], golden["audio_head"])
            close(audio[..., ::8], golden["audio_every8"])
