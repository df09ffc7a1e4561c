"""Conditions, language model, refiner and VAE against the published network's numbers."""

from __future__ import annotations

import json

import pytest
import torch

from songbloom.checkpoints.published import split_like_published, vae_recipe
from songbloom.generate.flow_solver import denoise
from songbloom.generate.sampling import guide
from songbloom.model.refiner import ROTARY_BASE
from songbloom.model.rotary import rotary_table
from songbloom.model.vae import decode_chunked, encode_style, sample_latents
from songbloom.train.objective import training_forward
from tests.parity.conftest import GOLDENS, Golden, close

pytestmark = pytest.mark.parity


def test_every_published_tensor_is_ours(model):
    published = json.loads((GOLDENS / "state_dict_keys.json").read_text())
    net = {n: list(t.shape) for n, t in split_like_published(model.net.state_dict()).items()}
    assert net == {n: spec[0] for n, spec in published.items() if n.startswith("model.")}
    vae = {p for n in model.vae.state_dict() for p in vae_recipe(n, "vae.vae.").parts}
    listed = {n for n in published if n.startswith("vae.")}
    assert not listed or vae == listed


@pytest.mark.parametrize("i", [0, 1, 2])
@torch.no_grad()
def test_lyrics_condition(model, conditions, cond, i):
    lyrics = model.net.lyrics
    assert lyrics.tokenizer.encode(conditions[i]["lyrics"]) == conditions[i]["token_ids"]
    assert lyrics.tokenizer.encode(None) == conditions[i]["null_token_ids"]
    for row, text in (("cond", conditions[i]["lyrics"]), ("null", None)):
        ids = lyrics.tokenizer.encode(text)
        close(lyrics(ids, pad=True), cond[f"{i}.lyrics_emb.{row}"])
        real = min(len(ids), lyrics.config.max_len)
        assert cond[f"{i}.lyrics_mask.{row}"].sum() == real


@pytest.mark.parametrize("i", [0, 1, 2])
@torch.no_grad()
def test_style_condition(model, cond, i):
    noise = cond[f"{i}.enc_noise"][0] if f"{i}.enc_noise" in cond else None
    latents = encode_style(model.vae, cond[f"{i}.wav"], lambda shape: noise)
    if noise is not None:
        close(latents, cond[f"{i}.enc_latent"][0])
    style = model.net.style
    clips = torch.stack([latents, torch.zeros_like(latents)])
    lengths = [cond[f"{i}.wav"].shape[-1], 0]
    embedded = style(clips, lengths)
    close(embedded[0], cond[f"{i}.prompt_emb.cond"])
    close(embedded[1], cond[f"{i}.prompt_emb.null"])
    mask = style.mask(lengths, style.max_len, embedded.device)
    assert torch.equal(mask[0], cond[f"{i}.prompt_mask.cond"])
    assert torch.equal(mask[1], cond[f"{i}.prompt_mask.null"])


@torch.no_grad()
def test_first_input(model, conditions, cond):
    latents = encode_style(model.vae, cond["0.wav"], lambda shape: cond["0.enc_noise"][0])
    prefixes = torch.stack([model.net.prefix(latents, conditions[0]["lyrics"]), model.net.prefix(None, None)])
    first = torch.cat([prefixes, model.net.bos.expand(2, 1, -1)], dim=1)
    close(first, cond["0.fused_first_input"])


@pytest.fixture(scope="module")
def lm():
    return Golden(GOLDENS / "lm.safetensors")


@pytest.fixture(scope="module")
def lm_input(model, lm, cond):
    net = model.net
    sequence = torch.cat([net.bos.expand(1, 1, -1), net.embed_block(lm["tokens"], lm["latents"])], dim=1)
    close(sequence, lm["lm_input"])
    prefix = cond["0.fused_first_input"][:, :-1]
    return torch.cat([prefix, sequence.repeat(2, 1, 1)], dim=1), prefix.shape[1]


@torch.no_grad()
def test_lm_full_pass(model, lm, lm_input):
    x, prefix = lm_input
    close(x[0], lm["fused_input_cond"])
    hidden = model.net.lm(x)[:, prefix:]
    close(hidden, lm["hidden_full"])
    close(model.net.classifier(hidden), lm["logits_full"])
    close(
        model.net.latent_embedding(lm["latents"].transpose(1, 2).reshape(3, -1, model.net.config.latent_dim))[None],
        lm["latent_emb"],
    )


@torch.no_grad()
def test_lm_first_layer(model, lm, lm_input):
    x, prefix = lm_input
    cos, sin = model.net.lm.rotary(x)
    out = model.net.lm.layers[0](x, cos, sin, None, 0)
    close(out[0, prefix:], lm["layer0_out_tail_cond"])


@torch.no_grad()
def test_lm_step_by_step(model, lm, lm_input):
    x, prefix = lm_input
    cache = model.net.new_cache(2, x.shape[1])
    hidden = [model.net.lm(x[:, : prefix + 1], cache)[:, -1:]]
    hidden += [model.net.lm(x[:, n : n + 1], cache) for n in range(prefix + 1, x.shape[1])]
    close(torch.cat(hidden, dim=1), lm["hidden_step"])


@torch.no_grad()
def test_lm_reads_a_chunk_after_the_cache(model, lm, lm_input):
    x, prefix = lm_input
    cache = model.net.new_cache(2, x.shape[1])
    hidden = [model.net.lm(part, cache) for part in (x[:, : prefix + 5], x[:, prefix + 5 :])]
    close(torch.cat(hidden, dim=1)[:, prefix:], lm["hidden_full"])


@pytest.fixture(scope="module")
def dit():
    return Golden(GOLDENS / "dit.safetensors")


@torch.no_grad()
def test_refiner(model, dit):
    refiner = model.net.refiner
    x, t, h, s, history = (dit[n] for n in ("x", "t", "h", "s", "history_x"))
    close(refiner.timestep(t), dit["timestep_embed"])
    cos, sin = rotary_table(torch.arange(2 + 3 * x.shape[1]), refiner.rotary_dim, ROTARY_BASE, torch.float32)
    close(cos, dit["rotary_freqs"].cos())
    close(sin, dit["rotary_freqs"].sin())
    out = refiner(x, t, refiner.prepare(h, s, history))
    null = refiner(x, t, refiner.prepare(torch.zeros_like(h), torch.zeros_like(s), history))
    close(out, dit["out_nocfg"])
    close(null, dit["out_nocfg_zero_hs"])
    close(guide(out, null, 1.5), dit["out_cfg1.5"])


@torch.no_grad()
def test_euler_sampler(model, dit):
    refiner, h, s, history = model.net.refiner, dit["h"], dit["s"], dit["history_x"]

    told = refiner.prepare(h, s, history)
    nothing = refiner.prepare(torch.zeros_like(h), torch.zeros_like(s), history)

    def plain(x, time):
        return refiner(x, x.new_full((len(x),), time), told)

    def guided(x, time):
        return guide(plain(x, time), refiner(x, x.new_full((len(x),), time), nothing), 1.5)

    names = [n for n in dit.tensors if n.startswith("euler_steps")]
    assert names
    for name in names:
        _, steps, temperature, cfg = name.split("_")
        velocity = plain if cfg == "nocfg" else guided
        out = denoise(
            velocity,
            dit["euler_noise"],
            steps=int(steps.removeprefix("steps")),
            temperature=float(temperature[4:]),
        )
        close(out, dit[name])


@torch.no_grad()
def test_vae(model):
    vae, golden = model.vae, Golden(GOLDENS / "vae.safetensors")
    mean, scale = vae.encode(golden["enc_wav"])
    close(mean, golden["enc_mean"])
    close(scale, golden["enc_scale"])
    close(sample_latents(mean, scale, golden["enc_noise"]), golden["enc_latent"])
    close(vae.decode(golden["dec_latent"]), golden["dec_audio"])
    for kind in ("long", "xlong"):
        for name in (n for n in golden.tensors if n.startswith(f"{kind}_audio_")):
            decode = decode_chunked if "_chunked" in name else (lambda v, z: v.decode(z))
            every = int(name.rpartition("_every")[2]) if "_every" in name else 1
            close(decode(vae, golden[f"{kind}_latent"])[..., ::every], golden[name])


@pytest.fixture(scope="module")
def train():
    return Golden(GOLDENS / "train.safetensors")


def test_training_forward_and_gradients(model, train):
    net = model.net
    prefix = torch.cat([train["prompt_emb"], train["lyrics_emb"]], dim=1)
    out = training_forward(
        net,
        list(prefix),
        train["x_sketch"],
        train["x_latent"],
        train["x_len"],
        flow_times=train["nar_t"],
        flow_noise=train["nar_noise"],
    )
    assert torch.equal(out.token_targets, train["ar_target"])
    close(out.token_logits, train["ar_logit"])
    close(out.velocity, train["nar_pred"])
    close(out.velocity_target, train["nar_target"])
    close(train["nar_t"], train["t_normal"].sigmoid())
    close(out.token_loss, train["ce"])
    close(out.flow_loss, train["mse"])
    net.zero_grad()
    (out.token_loss + out.flow_loss).backward()
    named = net.named_parameters()
    gradients = split_like_published({n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in named})
    for name in (n for n in train.tensors if n.startswith("grad.")):
        close(gradients["model." + name.removeprefix("grad.")], train[name])
    norms = next(v for k, v in json.loads((GOLDENS / "train.json").read_text()).items() if k.startswith("grad_l2"))
    for name, norm in norms.items():
        if norm is not None:
            close(gradients["model." + name].norm(), torch.tensor(norm))
    net.zero_grad(set_to_none=True)


@torch.no_grad()
def test_collated_style(model, train, cond):
    """Two clips of different length in one batch: the shorter is masked by its share of the longer."""
    mean, scale = model.vae.encode(train["prompt_wav_collated"].expand(-1, 2, -1))
    latents = sample_latents(mean, scale, train["prompt_enc_noise"])
    lengths = train["prompt_lengths"].tolist()
    close(model.net.style(latents, lengths), train["prompt_emb"])
    mask = model.net.style.mask(lengths, model.net.style.max_len, latents.device)
    assert torch.equal(mask, train["prompt_mask"])
