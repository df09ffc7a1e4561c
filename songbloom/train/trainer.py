"""Training of the sketch LM and the refiner together; resumable, with averaged weights and a log as JSON lines."""

from __future__ import annotations

import json
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from songbloom.checkpoints.load import NET
from songbloom.checkpoints.tensor_files import open_safetensors, write_safetensors
from songbloom.corpus.facts import bar_frames
from songbloom.errors import CheckpointError, InvalidInput
from songbloom.files import remove_parts, written_aside
from songbloom.generate.cues import Cues
from songbloom.generate.lyric_path import LyricPath
from songbloom.model.network import SongBloomNet
from songbloom.model.predictive_refiner import PredictiveRefiner
from songbloom.pipeline import choose_device
from songbloom.train.attention_guide import CURRENT_LAYER, NEXT_LAYER, AttentionProbe
from songbloom.train.examples import Example, stack_latents, stack_tokens
from songbloom.train.objective import training_forward
from songbloom.train.run_folder import forget_later, state_to_resume
from songbloom.train.settings import check_settings, setting

log = logging.getLogger(__name__)

LOG_S = 20.0  # of training between two rows of the log
MOST_LOST = 50  # steps in a row without finite gradients


@dataclass(frozen=True)
class TrainSettings:
    """Recipe of a run. Losses: tokens + ``flow_weight`` * (flow + prediction) + ``guide_weight`` * guided attention."""

    minutes: float = setting(about="of training, earlier runs in the folder included", above=0)
    learning_rate: float = setting(2e-3, above=0)
    warmup_steps: int = setting(100, "over which the rate rises", least=1)
    decay_from: float = setting(0.6, "share of the run after which the rate falls linearly to 5 %", least=0, most=1)
    weight_decay: float = setting(0.02, least=0)
    batch_positions: int = setting(3000, "of the language model in a batch, with padding", least=1)
    flow_blocks: int = setting(48, "blocks a step the refiner learns from; 0 for labels alone", least=0)
    flow_draws: int = setting(1, "noises and times each of them is seen with; 0 trains a prediction alone", least=0)
    flow_weight: float = setting(0.5, "of the refiner's losses", least=0)
    refiner_only: bool = setting(False, "leave the language model and its conditions as they are")
    guide_weight: float = setting(0.3, "of the loss that guides attention to the lyrics", least=0)
    unconditional: float = setting(0.1, "share of songs without any condition", least=0, most=1)
    no_style: float = setting(0.1, "share of songs without a clip", least=0, most=1)
    flow_null: float = setting(0.1, "share of blocks without h and s", least=0, most=1)
    history_noise: float = setting(0.1, "deviation of the noise on the block before", least=0)
    history_drop: float = setting(
        0.0, "share of blocks painted without the one before: style then comes from the clip alone", least=0, most=1
    )
    ema: float = setting(0.999, "how much of the averaged weights stays at each step", least=0, most=1)
    seed: int = setting(0, least=0)
    device: str = setting("cpu", "auto, cuda, cuda:N, mps or cpu")
    dtype: str = setting(
        "float32", "float32, or bfloat16 for autocast; weights stay float32", among=("float32", "bfloat16")
    )
    gradient_accumulation: int = setting(1, "batches of a step", least=1)
    gradient_checkpointing: bool = setting(
        False, "recompute the language model's layers going back: less memory, slower"
    )
    checkpoint_minutes: float = setting(3.0, "between states to resume from", above=0)

    def __post_init__(self) -> None:
        check_settings(self)
        choose_device(self.device)


class Trainer:
    """One run folder: ``state.pt`` (to resume), ``ema.safetensors`` (to use), ``log.jsonl``.

    Where ``torch.distributed`` is initialised (``torchrun``), every process trains on batches of its own and the
    gradients are averaged; the first process writes.
    """

    def __init__(self, net: SongBloomNet, run: Path, settings: TrainSettings) -> None:
        self.device = choose_device(settings.device)
        self.net, self.run, self.settings = net.to(self.device), run, settings
        net.lm.gradient_checkpointing = settings.gradient_checkpointing
        run.mkdir(parents=True, exist_ok=True)
        if settings.refiner_only:
            net.requires_grad_(False)
            sounding = net.metronome.sounding if net.metronome else None
            for part in filter(None, (net.refiner, net.timbre_projection, sounding)):
                part.requires_grad_(True)
        trained = [p for p in net.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.dim() > 1]
        plain = [p for p in trained if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": settings.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.95),
        )
        self.ema = {n: t.detach().clone() for n, t in net.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.generator = torch.Generator().manual_seed(settings.seed + 7919 * self.rank)
        if (run / "state.pt").exists():
            self._resume()
        if not self.rank:
            remove_parts(run)
            forget_later(run / "log.jsonl", self.step)

    def _resume(self) -> None:
        remedy = "go on with the settings it was begun with, or take another folder"
        with state_to_resume(self.run / "state.pt", remedy) as state:
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.ema = {name: value.to(self.device) for name, value in state["ema"].items()}
        for group, decay in zip(self.optimizer.param_groups, (self.settings.weight_decay, 0.0), strict=True):
            group["weight_decay"] = decay
        self.step, self.seconds = state["step"], state["seconds"]
        self.generator.manual_seed(self.settings.seed + self.step + 7919 * self.rank)
        log.info("resumed %s at step %d after %.1f minutes", self.run, self.step, self.seconds / 60)

    def start_from(self, weights: Path) -> None:
        """Begin with weights alone; tensors that are missing or shaped differently keep their initial values.

        Args:
            weights: a file of them (``ema.safetensors``), or the folder of a release.

        Raises:
            InvalidInput: there is no such file, or none of it fits.
        """
        if self.step:
            return
        file, own = weights / NET if weights.is_dir() else weights, self.net.state_dict()
        try:
            source = open_safetensors(file)
            loaded = source.read(source.names & own.keys())
        except (OSError, CheckpointError) as error:
            remedy = "give ema.safetensors of a run, or the folder of a release"
            raise InvalidInput("weights", str(weights), f"cannot be read ({error}); {remedy}") from error
        fitting = {n: t.to(own[n].dtype) for n, t in loaded.items() if own[n].shape == t.shape}
        if not fitting:
            raise InvalidInput("weights", str(weights), "holds no tensor of this network")
        self.net.load_state_dict(fitting, strict=False)
        self.restart_average()
        log.info("started from %d of %d tensors of %s", len(fitting), len(own), weights)

    def restart_average(self) -> None:
        """Let the averaged weights be the present ones."""
        self.ema = {n: t.detach().clone() for n, t in self.net.state_dict().items()}

    def save(self) -> None:
        """Write the resumable state and the averaged weights, each aside and renamed."""
        if self.rank:
            return
        state = {
            "net": self.net.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with written_aside(self.run / "state.pt") as aside:
            torch.save(state, aside)
        write_safetensors(self.run / "ema.safetensors", self.ema)

    def train(self, data: Callable[[float], Iterator[list[Example]]]) -> None:
        """Train until the settings' minutes of training time are used up.

        Args:
            data: (share of the run done) -> batches; asked again whenever a twentieth of the run is done.
        """
        settings, total = self.settings, self.settings.minutes * 60
        sums: dict[str, Tensor] = {}
        counts: Counter[str] = Counter()
        saved_at, logged_at = self.seconds, self.seconds
        twentieth, lost = -1, 0
        stream: Iterator[list[Example]] = iter(())
        self.net.train()
        clock = time.monotonic()
        while self.seconds < total:
            done = self.seconds / total
            if int(done * 20) != twentieth:
                twentieth, stream = int(done * 20), data(done)
            for group in self.optimizer.param_groups:
                group["lr"] = settings.learning_rate * self._schedule(done)
            for _ in range(settings.gradient_accumulation):
                losses = self.losses(next(stream))
                (losses["loss"] / settings.gradient_accumulation).backward()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value.detach()
                    counts[name] += 1
            now = time.monotonic()  # so the last step's rest and what was written count too
            self.seconds, clock = self.seconds + self._synchronise(now - clock), now
            norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            lost = 0 if torch.isfinite(norm) else lost + 1
            if not lost:
                self.optimizer.step()
            elif lost == MOST_LOST:
                remedy = f"{lost} steps in a row had no finite gradients; take less, or other weights to start from"
                raise InvalidInput("learning_rate", settings.learning_rate, remedy)
            self.optimizer.zero_grad(set_to_none=True)
            self._average()
            self.step += 1
            if self.seconds - logged_at > LOG_S:
                row = {"step": self.step, "minutes": round(self.seconds / 60, 2), "done": round(done, 3)}
                row |= {name: round(float(value) / counts[name], 4) for name, value in sums.items()}
                self._log(row)
                sums, logged_at = {}, self.seconds
                counts.clear()
            if self.seconds - saved_at > settings.checkpoint_minutes * 60:
                self.save()
                saved_at = self.seconds
        self.save()

    def _synchronise(self, elapsed: float) -> float:
        """Average the gradients over all processes; the mean of their seconds for this step."""
        if not dist.is_initialized():
            return elapsed
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([part.flatten() for part in parts] + [parts[0].new_tensor([elapsed])])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for parameter, mean in zip(parameters, flat[:-1].split([p.numel() for p in parameters]), strict=True):
            parameter.grad = mean.view_as(parameter)
        return float(flat[-1])

    def _schedule(self, done: float) -> float:
        warm = min(1.0, (self.step + 1) / self.settings.warmup_steps)
        decay = 1.0 if done < self.settings.decay_from else (1 - done) / (1 - self.settings.decay_from)
        return warm * max(0.05, decay)

    @torch.no_grad()
    def _average(self) -> None:
        weight = 1 - min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.net.state_dict().items():
            self.ema[name].lerp_(value, weight)

    def _log(self, row: dict[str, float]) -> None:
        if self.rank:
            return
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        log.info("%s", row)

    def losses(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """Losses and measures of a batch; ``loss`` is the one to minimise."""
        settings, config = self.settings, self.net.config
        tokens, lengths = stack_tokens(examples)
        latents = stack_latents(examples, config.latent_dim, tokens.shape[1]).to(self.device)
        dropped = torch.rand(len(examples), generator=self.generator) < settings.unconditional
        no_style = torch.rand(len(examples), generator=self.generator) < settings.no_style
        blocks = self._choose_blocks(examples, lengths)
        count = int(blocks.sum())
        draws = count * settings.flow_draws
        times = torch.randn(draws, generator=self.generator).sigmoid()
        noise = torch.randn(draws, config.block_size, config.latent_dim, generator=self.generator)
        null = torch.rand(count, generator=self.generator) < settings.flow_null
        history_noise = torch.randn(latents.shape, generator=self.generator) * settings.history_noise
        history_noise *= torch.rand(len(examples), 1, 1, generator=self.generator)
        first = torch.rand(count, generator=self.generator) < settings.history_drop
        with (
            torch.autocast(self.device.type, getattr(torch, settings.dtype), enabled=settings.dtype != "float32"),
            AttentionProbe(self.net) as probe,
        ):
            prefixes, starts = self._prefixes(examples, dropped, no_style)
            timbre = self._timbre(examples, dropped | no_style)
            cues, beats = self._cues(examples, prefixes, tokens.shape[1], dropped | no_style)
            out = training_forward(
                self.net,
                prefixes,
                tokens.to(self.device),
                latents,
                lengths.to(self.device),
                flow_times=times.to(self.device),
                flow_noise=noise.to(self.device),
                flow_blocks=blocks.to(self.device),
                flow_null=null.to(self.device),
                history_noise=history_noise.to(self.device),
                flow_first=first.to(self.device),
                timbre=timbre,
                cues=cues,
                beats=beats,
            )
            loss, measures = settings.flow_weight * (out.flow_loss + out.prediction_loss), {}
            if not settings.refiner_only:
                current, following = self._guide_targets(examples, prefixes, starts, dropped)
                guide = probe.loss(CURRENT_LAYER, current) + probe.loss(NEXT_LAYER, following)
                loss = loss + out.token_loss + settings.guide_weight * guide
                measures["guide"] = guide.detach()
        measures["tokens"] = out.token_loss.detach()
        if count:
            measures |= {"flow": out.flow_loss.detach(), "prediction": out.prediction_loss.detach()}
        right = (out.token_logits.argmax(-1) == out.token_targets)[out.token_targets != config.ignore]
        return {"loss": loss, **measures, "accuracy": right.float().mean()}

    def _timbre(self, examples: Sequence[Example], muted: Tensor) -> Tensor:
        """What the refiner reads of each song's clip, [B, D]; zeros without one."""
        rows = [
            torch.zeros(self.net.config.dim, device=self.device)
            if mute or e.style is None
            else self.net.timbre(e.style, torch.tensor(e.facts, device=self.device))
            for e, mute in zip(examples, muted.tolist(), strict=True)
        ]
        return torch.stack(rows)

    def _cues(
        self, examples: Sequence[Example], prefixes: Sequence[Tensor], longest: int, muted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What bos and each token are told, [B, 1 + longest, D], and what the refiner is, [B, longest, D]."""
        rows, sounding = [], []
        for example, prefix, mute in zip(examples, prefixes, muted.tolist(), strict=True):
            path = LyricPath(self.net.lyrics.tokenizer.items(example.lyrics))
            cues = Cues(self.net, prefix, path, None if mute else bar_frames(example.facts[0]))
            told = cues.along(example.tokens.tolist())
            rows.append(F.pad(told, (0, 0, 0, longest + 1 - len(told))))
            sounding.append(cues.sounding(0, longest))
        return torch.stack(rows), torch.stack(sounding)

    def _choose_blocks(self, examples: Sequence[Example], lengths: Tensor) -> Tensor:
        """A random ``flow_blocks`` of the blocks that have latents, [B, k] bool."""
        blocks = lengths // self.net.config.block_size
        chosen = torch.zeros(len(examples), int(blocks.max()), dtype=torch.bool)
        if not self.settings.flow_blocks:
            return chosen
        candidates = [(i, k) for i, e in enumerate(examples) if e.latents is not None for k in range(int(blocks[i]))]
        for pick in torch.randperm(len(candidates), generator=self.generator)[: self.settings.flow_blocks].tolist():
            chosen[candidates[pick]] = True
        return chosen

    def _prefixes(
        self, examples: Sequence[Example], dropped: Tensor, no_style: Tensor
    ) -> tuple[list[Tensor], list[int]]:
        """Each song's prefix and where its lyrics start."""
        prefixes, starts = [], []
        for example, drop, mute in zip(examples, dropped.tolist(), no_style.tolist(), strict=True):
            style = example.style
            if style is None:
                style = torch.zeros(self.net.config.latent_dim, 8)
            facts = torch.tensor(example.facts, device=self.device)
            prefix = self.net.prefix(style.to(self.device), example.lyrics, facts)
            starts.append(style.shape[1] + (self.net.facts is not None))
            if drop:
                prefix = torch.zeros_like(prefix)
            elif mute:
                prefix = torch.cat([torch.zeros_like(prefix[: starts[-1]]), prefix[starts[-1] :]])
            prefixes.append(prefix)
        return prefixes, starts

    def _guide_targets(
        self, examples: Sequence[Example], prefixes: Sequence[Tensor], starts: Sequence[int], dropped: Tensor
    ) -> tuple[Tensor, Tensor]:
        """For each position of the sequence the prefix position of its lyric item: of the frame just read, and of
        the frame to come; -1 where there is none. Both [B, n]."""
        block = self.net.config.block_size
        longest = max(len(e.tokens) for e in examples)
        n = max(len(p) for p in prefixes) + 1 + longest // block * (block + 1)
        current = torch.full((len(examples), n), -1)
        following = torch.full((len(examples), n), -1)
        for row, (example, prefix) in enumerate(zip(examples, prefixes, strict=True)):
            if dropped[row]:
                continue
            item = torch.from_numpy(example.lyric_index) + starts[row]
            whole = item.unflatten(0, (-1, block))
            read = torch.cat([item[:1], torch.cat([whole, whole[:, -1:]], dim=1).flatten()])
            to_come = torch.cat([read[1:], item[-1:]])
            begin = len(prefix)
            current[row, begin : begin + len(read)] = read
            following[row, begin : begin + len(read)] = to_come
            # the last token of a block is followed by the latent embedding; both look at the next block's start
            following[row, begin + block : begin + len(read) - 1 : block + 1] = F.pad(
                whole[1:, 0], (0, 1), value=int(item[-1])
            )
        return current.to(self.device), following.to(self.device)


def initialise(net: SongBloomNet, seed: int = 0) -> None:
    """Initial weights: normal with the configuration's deviation, residual outputs scaled down by depth."""
    torch.manual_seed(seed)
    std = net.config.init_std
    for name, parameter in net.named_parameters():
        if parameter.dim() < 2:
            continue
        depth = net.config.lm_layers if name.startswith("lm.") else net.config.diff_layers
        residual = name.endswith(("attn.out.weight", "mlp.down.weight"))
        if name == "refiner.timestep.frequencies":
            torch.nn.init.normal_(parameter)
        else:
            torch.nn.init.normal_(parameter, std=std / math.sqrt(2 * depth) if residual else std)
    torch.nn.init.normal_(net.bos, std=std)
    if net.metronome is not None:  # weights trained without one go on as they were
        for projection in (net.metronome.coming, net.metronome.sounding):
            torch.nn.init.zeros_(projection.weight)
    torch.nn.init.zeros_(net.get_parameter("refiner.project_out.weight"))
    if isinstance(net.refiner, PredictiveRefiner):
        torch.nn.init.zeros_(net.refiner.predictor.out.weight)
