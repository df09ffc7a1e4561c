"""The singing voice: the speech model of ``hibari-tts``, cut open and driven by notes and phone times of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from songbloom.corpus.phones import VOWELS, singer_spelling
from songbloom.corpus.score import Score, SungLine
from songbloom.corpus.settings import VOICES, Voice
from songbloom.corpus.timing import FRAME_S, frames
from songbloom.errors import NotAvailable

# The voice model speaks at 24 kHz in frames of 25 ms. Its samples are taken as 22.5 kHz, so that three of its frames
# make one of ours; pitches are raised by as much beforehand.
MODEL_RATE, SAMPLE_RATE = 24_000, 22_500
SLOWING = MODEL_RATE / SAMPLE_RATE
VOICE_FRAMES = 3
VOICE_FRAME_S = FRAME_S / VOICE_FRAMES
F0_STEP_S = VOICE_FRAME_S / 2
SAMPLES_PER_FRAME = int(SAMPLE_RATE * VOICE_FRAME_S)
# Tensors of the published graph: frames per symbol, and energy per half frame.
DURATIONS, F0, ENERGY = "/Clip_output_0", "f0", "/Mul_62_output_0"
SPECTRUM = ("lh", "theta", "ln", "lr", "phi")
# Voice frames a consonant or a vowel must have so that the space before its word takes one and two of them: without
# that pause stops lose their closure and words run into each other.
SPACE_LIMITS = {False: (3, 6), True: (5, 8)}
LEAD_FRAMES, TAIL_FRAMES = 2, 4
VIBRATO_AFTER_S, VIBRATO_SEMITONES, VIBRATO_HERTZ = 0.2, 0.3, 5.4

Floats = NDArray[np.float32]


def _cut(model: Any, inputs: list[str], outputs: list[str]) -> Any:
    """An inference session over the part of the graph between some tensors."""
    import onnx
    import onnxruntime

    kinds: dict[str, tuple[Any, Any]] = {
        "ids": (onnx.TensorProto.INT64, [1, "L"]),
        "speed": (onnx.TensorProto.FLOAT, [1]),
        DURATIONS: (onnx.TensorProto.FLOAT, ["L"]),
        F0: (onnx.TensorProto.FLOAT, [1, "F"]),
        ENERGY: (onnx.TensorProto.FLOAT, [1, "F"]),
    }
    graph = model.graph
    producers = {name: node for node in graph.node for name in node.output}
    wanted, needed, tensors = list(outputs), set(), set()
    while wanted:
        name = wanted.pop()
        if name in tensors:
            continue
        tensors.add(name)
        node = None if name in inputs else producers.get(name)
        if node is not None:
            needed.add(node.output[0])
            wanted.extend(source for source in node.input if source)
    published = {value.name: value for value in graph.output}

    def described(name: str) -> Any:
        known = kinds.get(name)
        return onnx.helper.make_tensor_value_info(name, *known) if known else published[name]

    part = onnx.helper.make_graph(
        [node for node in graph.node if node.output[0] in needed],
        "part",
        [described(name) for name in inputs],
        [described(name) for name in outputs],
        [value for value in graph.initializer if value.name in tensors],
    )
    cut = onnx.helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(cut.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Singer:
    """Sings lines of a score. Loading takes about a second; use one for many songs, in one thread.

    Raises:
        NotAvailable: the packages of the extra ``corpus`` are missing.
    """

    def __init__(self) -> None:
        try:
            import hibari
            import onnx
            import onnxruntime  # noqa: F401
            from hibari import dsp
        except ImportError as error:
            raise NotAvailable(f"The corpus needs {error.name}: pip install 'songbloom[corpus]'.") from error
        import json

        assets = Path(hibari.__file__).parent / "assets"
        model = onnx.load(str(assets / "hibari.onnx"))
        self._symbol_ids: dict[str, int] = json.loads((assets / "vocab.json").read_text(encoding="utf-8"))
        self._speech_durations = _cut(model, ["ids", "speed"], [DURATIONS])
        self._prosody = _cut(model, ["ids", DURATIONS], [F0, ENERGY])
        self._decoder = _cut(model, ["ids", DURATIONS, F0, ENERGY], list(SPECTRUM))
        self._synth = dsp.synth

    def sing(self, score: Score) -> Floats:
        """The voice of a whole song, float32 ``[samples]`` at 22.5 kHz, phones exactly where the score has them."""
        song = np.zeros(int(score.duration_s * SAMPLE_RATE) + 1, np.float32)
        voice = VOICES[score.card.voice]
        for number, line in enumerate(score.lines):
            rng = np.random.default_rng([score.seed % 2**32, number, int(score.held_out)])
            audio = self._sing_line(score, line, voice, rng)
            first = VOICE_FRAMES * frames(score.phones[line.first_phone].start_s)
            start = (first - LEAD_FRAMES) * SAMPLES_PER_FRAME
            if start < 0:
                audio, start = audio[-start:], 0
            audio = audio[: len(song) - start]
            song[start : start + len(audio)] += audio
        return song

    def _spell(self, score: Score, line: SungLine) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Ids of the model's symbols, the frames of each, and which of them are sung vowels."""
        ids, lengths, vowels = [0], [LEAD_FRAMES], [False]
        words = zip(score.phones[line.first_phone : line.end_phone], line.symbols, line.word_starts, strict=True)
        for index, (event, symbol, new_word) in enumerate(words):
            spelling = singer_spelling(symbol)
            if new_word and index:
                spelling = " " + spelling
            total = VOICE_FRAMES * frames(event.end_s - event.start_s)
            gap = sum(total >= limit for limit in SPACE_LIMITS[event.phone in VOWELS]) if spelling[0] == " " else 0
            total -= gap
            letters = [c for c in spelling if c not in " ˈˌ"]
            marks = 1 if any(c in "ˈˌ" for c in spelling) else 0
            # "ɜɹ": a held vowel with the r at its end.
            shares = [total - marks] if len(letters) == 1 else [total - marks - max(1, total // 3), max(1, total // 3)]
            at = 0
            for char in spelling:
                ids.append(self._symbol_ids[char])
                if char == " ":
                    lengths.append(gap)
                elif char in "ˈˌ":
                    lengths.append(marks)
                else:
                    lengths.append(shares[at])
                    at += 1
                vowels.append(event.phone in VOWELS and char != " ")
        ids += [self._symbol_ids["."], 0]
        lengths += [TAIL_FRAMES, 0]
        vowels += [False, False]
        return np.array([ids], np.int64), np.array(lengths, np.int64), np.array(vowels)

    def _sing_line(self, score: Score, line: SungLine, voice: Voice, rng: np.random.Generator) -> Floats:
        ids, lengths, is_vowel = self._spell(score, line)
        speech = self._speech_durations.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})[0].reshape(-1)
        speech_f0, speech_energy = (
            out[0] for out in self._prosody.run(None, {"ids": ids, DURATIONS: speech.astype(np.float32)})
        )
        ends = 2 * np.cumsum(lengths)
        starts = ends - 2 * lengths
        total = int(ends[-1])
        # Energy and voicing are those of the spoken line, stretched phone by phone.
        speech_ends = 2 * np.cumsum(speech.astype(int))
        speech_starts = speech_ends - 2 * speech.astype(int)
        symbol = np.repeat(np.arange(len(lengths)), 2 * lengths)
        within = (np.arange(total) - starts[symbol] + 0.5) / (2 * lengths[symbol])
        source = speech_starts[symbol] + within * (speech_ends - speech_starts)[symbol] - 0.5
        at = np.arange(len(speech_f0))
        voiced = np.interp(source, at, (speech_f0 > 40).astype(float)) > 0.5
        energy = np.interp(source, at, speech_energy)
        in_vowel = is_vowel[symbol]
        voiced |= in_vowel
        line_start = score.phones[line.first_phone].start_s - LEAD_FRAMES * VOICE_FRAME_S
        pitch = self._pitch(score, line, line_start, total, rng)
        hertz = SLOWING * 440 * 2 ** ((pitch - 69) / 12)
        told = np.where(voiced, np.clip(hertz, voice.model_f0_floor, 330), 0).astype(np.float32)
        sung = np.where(voiced, hertz, 0).astype(np.float32)
        feeds = {
            "ids": ids,
            DURATIONS: lengths.astype(np.float32),
            F0: told[None],
            ENERGY: energy[None].astype(np.float32),
        }
        spectrum = [out[0] for out in self._decoder.run(None, feeds)]
        if voice.formants != 1.0:
            spectrum = _scale_formants(spectrum, voice.formants)
        # Speech noise in a held vowel is heard as a buzz an octave below the note.
        spectrum[3] = spectrum[3] - voice.residual_cut * in_vowel.astype(np.float32)
        return np.asarray(self._synth(*spectrum, sung, rng), np.float32)

    def _pitch(
        self, score: Score, line: SungLine, line_start: float, total: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """MIDI pitch per 12.5 ms: notes with short glides, late vibrato and a slow drift of a few cents."""
        time = line_start + (np.arange(total) + 0.5) * F0_STEP_S
        events = score.phones[line.first_phone : line.end_phone]
        vowels = [event for event in events if event.phone in VOWELS]
        onsets = np.array([event.start_s for event in vowels])
        notes = np.array([event.midi_pitch for event in vowels], float)
        pitch = notes[np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, None)]
        glide = np.hanning(7)[1:-1]
        pitch = np.convolve(np.pad(pitch, 2, mode="edge"), glide / glide.sum(), mode="valid")
        for index, event in enumerate(vowels):
            end = onsets[index + 1] if index + 1 < len(vowels) else events[-1].end_s
            if end - event.start_s < 0.4:
                continue
            begin = event.start_s + VIBRATO_AFTER_S
            held = (time >= begin) & (time < end)
            depth = np.clip((time[held] - begin) / 0.25, 0, 1) * VIBRATO_SEMITONES
            pitch[held] += depth * np.sin(2 * np.pi * VIBRATO_HERTZ * (time[held] - begin))
        drift = np.cumsum(rng.standard_normal(total)) * 0.004
        return pitch + np.clip(drift - drift.mean(), -0.1, 0.1)


def _scale_formants(spectrum: list[Floats], factor: float) -> list[Floats]:
    """Spectral parts ``[bins, frames]`` with their envelope stretched along frequency; the last is a phase."""
    bins = spectrum[0].shape[0]
    source = np.arange(bins) / factor
    low = np.clip(source.astype(int), 0, bins - 2)
    weight = np.clip(source - low, 0, 1)[:, None].astype(np.float32)
    moved = [part[low] * (1 - weight) + part[low + 1] * weight for part in spectrum[:-1]]
    nearest = np.clip(np.round(source).astype(int), 0, bins - 1)
    return [*moved, spectrum[-1][nearest]]
