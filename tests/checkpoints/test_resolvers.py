from __future__ import annotations

from pathlib import Path

import pytest

from songbloom.checkpoints.resolvers import load_config
from songbloom.errors import CheckpointError

DATA = Path(__file__).parent / "data"


def write(folder: Path, text: str) -> Path:
    path = folder / "model.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def published() -> dict:
    return load_config(DATA / "model.yaml")


def test_references_take_the_value_and_type_of_their_key(published):
    prompt = published["model"]["condition_provider_cfg"]["prompt_wav"]
    assert prompt["output_dim"] == 128 and isinstance(prompt["output_dim"], int)
    assert published["vae"]["sr"] == 48000
    assert published["inference"]["cfg_coef"] == 1.5
    assert published["model"]["fuser_cfg"]["cross_attention_pos_emb"] is False


def test_paths_lie_beside_the_configuration(published):
    assert published["pretrained_path"] == str(DATA.absolute() / "model.pt")
    assert published["vae"]["vae_cfg"] == str(DATA.absolute() / "vae.json")


def test_a_referenced_mapping_is_a_copy(published):
    prompt = published["model"]["condition_provider_cfg"]["prompt_wav"]
    assert prompt["audio_tokenizer"] == published["vae"]
    assert prompt["audio_tokenizer"] is not published["vae"]


def test_nested_resolver_loads_the_vocabulary(published):
    vocabulary = published["model"]["condition_provider_cfg"]["lyrics"]["vocab_list"]
    assert vocabulary[0] == "" and vocabulary[1] == "[intro]"
    assert vocabulary[8:10] == [",", "."]
    assert all(isinstance(item, str) for item in vocabulary)


def test_nothing_is_left_unresolved(published):
    def texts(node):
        if isinstance(node, (dict, list)):
            for child in node.values() if isinstance(node, dict) else node:
                yield from texts(child)
        else:
            yield str(node)

    assert not [text for text in texts(published) if "${" in text or "???" in text]


def test_relative_configuration_path_gives_absolute_paths(tmp_path, monkeypatch):
    write(tmp_path, "a: ${dynamic_path:???/x.pt}")
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("model.yaml"))["a"] == str(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a: 1e-4", "a", 1e-4),
        ("a: 3\nb: ${a}", "b", 3),
        ("a: x\nb: pre-${a}-${a}", "b", "pre-x-x"),
        ("a: [5, 6]\nb: ${a[1]}", "b", 6),
        ("a: [5, 6]\nb: ${a.0}", "b", 5),
        ("a: {b: '${c}'}\nc: {d: 7}\ne: ${a.b.d}", "e", 7),
        ("a: true\nb: ${a}", "b", True),
        ("a: b\nb: 4\nc: ${${a}}", "c", 4),
        ("a: null\nb: ${a}", "b", None),
        ("a: {1: x}\nb: ${a.1}", "b", "x"),
        ("a: $5 {b}", "a", "$5 {b}"),
        ("model: {dim: 4, sub: {d: '${model.dim}'}}\nd: ${model.sub.d}", "d", 4),
    ],
)
def test_interpolation_forms(tmp_path, text, key, value):
    found = load_config(write(tmp_path, text))[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("m: {a: '${b}'}\nb: ${m.a}", ["m.a", "circle"]),
        ("a: ${a}", ["a", "circle"]),
        ("a: {b: ['${a}']}", ["a.b.0", "circle"]),
        ("m: {a: '${no.such}'}", ["m.a", "no.such"]),
        ("a: [1]\nb: ${a.7}", ["key b", "a.7"]),
        ("a: 1\nb: ${a.c}", ["key b", "a.c"]),
        ("a: ${eval:1+1}", ["key a", "unknown resolver 'eval'"]),
        ("a: ${oc.env:HOME}", ["key a", "unknown resolver 'oc.env'"]),
        ("a: ${dynamic_path:???/../../etc/passwd}", ["key a", "outside"]),
        ("a: ${dynamic_path:/etc/passwd}", ["key a", "outside"]),
        ("a: ${dynamic_path:???}", ["key a", "outside"]),
        ("a: ${load_yaml:/etc/passwd}", ["key a", "outside"]),
        ("a: ${load_yaml:${dynamic_path:???/none.yaml}}", ["key a", "none.yaml"]),
        ("a: ${b", ["key a", "without"]),
        ("b: {c: 1}\na: x${b}", ["key a", "mapping"]),
        ("b: {c: 1}\na: ${load_yaml:${b}}", ["key a", "needs a path"]),
        ("- 1", ["mapping"]),
        ("", ["mapping"]),
        ("a: [", ["not readable as YAML"]),
        ("a: !!python/object/apply:os.system [id]", ["not readable as YAML"]),
        ("a: &x [*x]", ["expands"]),
        ("a: " + "[" * 3000, ["not readable as YAML"]),
    ],
)
def test_what_cannot_be_resolved_is_named(tmp_path, text, words):
    with pytest.raises(CheckpointError) as caught:
        load_config(write(tmp_path, text))
    for word in [*words, "model.yaml"]:
        assert word in str(caught.value)


def test_references_that_double_are_stopped(tmp_path):
    doubled = [f"k{i}:" + 8 * f"\n  - ${{k{i - 1}}}" for i in range(1, 12)]
    lines = ["k0: [1, 2, 3, 4, 5, 6, 7, 8]", *doubled]
    with pytest.raises(CheckpointError, match="expands"):
        load_config(write(tmp_path, "\n".join(lines)))


def test_missing_unreadable_or_huge_file(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CheckpointError, match="not readable as YAML"):
        load_config(tmp_path / "binary.yaml")
    monkeypatch.setattr("songbloom.checkpoints.resolvers._MAX_BYTES", 3)
    with pytest.raises(CheckpointError, match="larger"):
        load_config(write(tmp_path, "a: 1"))


def test_loaded_yaml_is_data_not_configuration(tmp_path):
    (tmp_path / "vocab.yaml").write_text("- ${a}\n- '!'\n")
    config = load_config(write(tmp_path, "a: 1\nv: ${load_yaml:${dynamic_path:???/vocab.yaml}}"))
    assert config["v"] == ["${a}", "!"]


def test_linked_files_of_a_download_cache_are_accepted(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "blobs" / "1").write_text("- x\n")
    (tmp_path / "snapshot" / "vocab.yaml").symlink_to(tmp_path / "blobs" / "1")
    config = load_config(write(tmp_path / "snapshot", "v: ${load_yaml:${dynamic_path:???/vocab.yaml}}"))
    assert config["v"] == ["x"]
