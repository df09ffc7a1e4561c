from __future__ import annotations

import pytest
import torch

from songbloom.generate.sampling import (
    TokenSampling,
    filter_probabilities,
    guide,
    penalize_repeats,
    sample_token,
)


def test_guidance_of_one_is_the_conditional():
    conditional, null = torch.randn(2, 5), torch.randn(2, 5)
    torch.testing.assert_close(guide(conditional, null, 1.0), conditional)
    torch.testing.assert_close(guide(conditional, null, 0.0), null)


def test_penalty_divides_each_repeated_id_once_and_never_eos():
    logits = torch.tensor([[2.2, -1.1, 3.3, 4.4]])  # ids 0-2 are tokens, 3 is EOS
    out = penalize_repeats(logits, torch.tensor([[0, 0, 1, 3]]), num_pitch=3)
    torch.testing.assert_close(out, torch.tensor([[2.0, -1.0, 3.3, 4.4]]))


def test_top_k_keeps_ties():
    probs = torch.tensor([[0.3, 0.3, 0.3, 0.1]])
    kept = filter_probabilities(probs, top_k=2, top_p=0.0)
    torch.testing.assert_close(kept, torch.tensor([[1 / 3, 1 / 3, 1 / 3, 0.0]]))


def test_top_p_takes_precedence_and_keeps_the_smallest_set():
    probs = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    kept = filter_probabilities(probs, top_k=1, top_p=0.7)
    torch.testing.assert_close(kept, torch.tensor([[0.625, 0.375, 0.0, 0.0]]))


@pytest.mark.parametrize("top_k", [0, 4, 9])
def test_no_filter(top_k):
    probs = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    assert filter_probabilities(probs, top_k=top_k, top_p=0.0) is probs


def test_greedy():
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    assert sample_token(logits, TokenSampling(temperature=0), torch.rand(1, 3)).tolist() == [1]


def test_draws_follow_the_distribution():
    logits = torch.tensor([0.5, 0.3, 0.2]).log().expand(20000, 3)
    noise = torch.empty(20000, 3).exponential_(generator=torch.Generator().manual_seed(0))
    tokens = sample_token(logits, TokenSampling(temperature=1.0, top_k=0), noise)
    shares = tokens.bincount(minlength=3) / 20000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=0.015, rtol=0)


def test_min_p_drops_what_is_far_below_the_likeliest():
    probs = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    kept = filter_probabilities(probs, top_k=0, top_p=0.0, min_p=0.4)
    torch.testing.assert_close(kept, torch.tensor([[0.625, 0.375, 0.0, 0.0]]))
    assert torch.equal(filter_probabilities(probs, top_k=0, top_p=0.0, min_p=0.0), probs)
    both = filter_probabilities(probs, top_k=1, top_p=0.0, min_p=0.4)
    torch.testing.assert_close(both, torch.tensor([[1.0, 0.0, 0.0, 0.0]]))


def test_half_precision_draws_no_token_that_is_excluded():
    logits = torch.linspace(-8, 8, 300)[None].half()
    noise = torch.ones(1, 300)
    noise[0, 0] = 1e-8  # 0 in float16, and the least likely token
    assert sample_token(logits, TokenSampling(top_k=200), noise) == 299


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("temperature", [1e-4, 1e-40])
def test_the_smallest_temperatures_are_as_good_as_greedy(dtype, temperature):
    logits = torch.randn(3, 300, generator=torch.Generator().manual_seed(0)).to(dtype) * 30
    drawn = sample_token(logits, TokenSampling(temperature=temperature), torch.rand(3, 300) + 0.1)
    assert torch.equal(drawn, logits.argmax(-1))
