"""The manifest: one schema, hostile bytes refused in a sentence, plans that do not add up refused by name."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import (
    Bundle,
    ManifestError,
    bundle_id,
    generate,
    parse,
    serialise,
    write_bundle,
)
from comfyui_pocketvideo.mobile_runtime.bundle._validator import SchemaError, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.engine import small


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A manifest that is right, with its files."""
    bundle = small.build(tmp_path_factory.mktemp("bundle") / "b")
    return json.loads(bundle.data)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_committed_validator_and_types_are_what_the_schema_gives() -> None:
    for path, text in generate.outputs().items():
        assert path.read_text("utf-8") == text, f"run the generate command: {path.name} is out of date"


def test_the_schema_is_valid_and_strict() -> None:
    schema = json.loads(generate.SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    def walk(node: Any, where: str) -> None:
        if not isinstance(node, dict):
            return
        if "properties" in node and "allOf" not in node and not where.endswith("/if"):
            assert node.get("additionalProperties") is False, where
        kind = node.get("type")
        if kind == "string":
            assert "maxLength" in node or "pattern" in node, where
        if kind in ("integer", "number"):
            assert "minimum" in node and "maximum" in node, where
        if kind == "array":
            assert "maxItems" in node, where
        for key, value in node.items():
            for index, item in enumerate(value) if isinstance(value, list) else [(key, value)]:
                walk(item, f"{where}/{key}" if item is value else f"{where}/{key}/{index}")
                if isinstance(item, dict) and key in ("properties", "$defs"):
                    for name, inner in item.items():
                        walk(inner, f"{where}/{key}/{name}")

    walk(schema, "#")


def test_a_right_manifest_round_trips(manifest: dict[str, Any]) -> None:
    data = canonical(manifest)
    assert parse(data) == manifest
    assert serialise(parse(data)) == data
    assert len(bundle_id(data)) == 64 and bundle_id(data) != bundle_id(data + b" ")


Change = Callable[[dict[str, Any]], Any]


def op(manifest: dict[str, Any], identity: str) -> dict[str, Any]:
    return next(op for op in manifest["plan"] if op["id"] == identity)


def manual(sigmas: list[float]) -> dict[str, Any]:
    return {"name": "manual", "sigmas": sigmas, "multiplier": 1.0}


def tiles(overlap: list[int]) -> dict[str, Any]:
    return {"size": [2, 4, 4], "overlap": overlap, "scale": [1, 1, 1]}


def huge(*paths: str) -> list[dict[str, Any]]:
    """Files that are each allowed and together too large."""
    return [{"path": path, "sha256": f"{n:064x}", "bytes": 2**36} for n, path in enumerate(paths)]


WRONG: list[tuple[str, Change]] = [
    ("must contain .*'license'", lambda m: m.pop("license")),
    ("must not contain .*surprise", lambda m: m.update(surprise=1)),
    ("version", lambda m: m.update(version=2)),
    ("version", lambda m: m.update(version=True)),
    ("format", lambda m: m.update(format="zip")),
    ("plan", lambda m: m.update(plan=m["plan"] * 100)),
    ("op must be one of", lambda m: m["plan"][0].update(op="run_python")),
    ("must not contain", lambda m: m["plan"][0].update(code="import os")),
    ("sampler must be one of", lambda m: op(m, "sample").update(sampler="dpmpp_3m_sde")),
    ("neither noise nor a latent", lambda m: op(m, "sample").update(noise=None)),
    ("keep_first_frame", lambda m: op(m, "sample").update(latent={"op": "first"})),
    ("which no earlier op makes", lambda m: op(m, "sample").update(latent={"op": "frames"})),
    (
        "first frame of a latent that it does not have",
        lambda m: op(m, "sample").update(first_frame=None, keep_first_frame=True),
    ),
    ("do not fall", lambda m: op(m, "sample").update(schedule=manual([1.0, 0.5, 0.5]))),
    ("sigmas", lambda m: op(m, "sample").update(schedule=manual([1.0]))),
    ("sigmas", lambda m: op(m, "sample").update(schedule=manual([1.5, 0.5]))),
    ("name must be one of", lambda m: op(m, "sample").update(schedule={**manual([1.0, 0.0]), "name": "x"})),
    ("steps", lambda m: op(m, "sample").update(schedule={**manual([1.0, 0.0]), "steps": 3})),
    ("ends its schedule where it starts", lambda m: op(m, "sample")["schedule"].update(start=3, end=3)),
    ("overlap", lambda m: op(m, "frames").update(tiles=tiles([2, 4, 4]))),
    ("scale", lambda m: op(m, "frames").update(tiles={**tiles([1, 1, 1]), "scale": [1, 2]})),
    ("effort", lambda m: op(m, "video").update(webp={"lossless": True, "quality": 80, "effort": 7})),
    ("shape", lambda m: op(m, "noise").update(shape=[1, 3, 4, 4])),
    ("shape", lambda m: op(m, "noise").update(shape=[1, 3, 4, 4, 0])),
    ("shape", lambda m: op(m, "noise").update(shape=[1, 3, 4, 4, 10**9])),
    ("shape", lambda m: op(m, "noise").update(shape=[1, 3, 4, 4, 6.0])),
    ("a batch of 2", lambda m: op(m, "noise").update(shape=[2, 3, 4, 4, 6])),
    ("elements and the limit", lambda m: op(m, "noise").update(shape=[1, 65536, 65536, 1, 1])),
    ("seed above 2.64-1", lambda m: op(m, "noise").update(seed="18446744073709551616")),
    ("seed", lambda m: op(m, "noise").update(seed="-1")),
    ("seed", lambda m: op(m, "noise").update(seed="007")),
    ("an id that an earlier op has", lambda m: op(m, "negative").update(id="positive")),
    ("which no earlier op makes", lambda m: m["plan"].reverse()),
    ("which no earlier op makes", lambda m: op(m, "frames").update(latent={"op": "frames"})),
    ("needs latent as latent", lambda m: op(m, "frames").update(latent={"op": "noise"})),
    ("writes 0 videos", lambda m: m["plan"].pop()),
    ("writes 2 videos", lambda m: m["plan"].append({**m["plan"][-1], "id": "again"})),
    ("the component 'ghost'", lambda m: op(m, "frames").update(component="ghost")),
    ("needs a vae_decoder", lambda m: op(m, "frames").update(component="denoiser")),
    ("the input 'ghost'", lambda m: op(m, "positive").update(text={"input": "ghost"})),
    ("needs an input of type text", lambda m: op(m, "positive").update(text={"input": "steps"})),
    ("bounds must lie within 1 to 1000", lambda m: m["inputs"]["steps"].update(minimum=0)),
    ("not between its minimum and maximum", lambda m: m["inputs"]["motion"].update(default=11.0)),
    ("longer than its max_length", lambda m: m["inputs"]["prompt"].update(max_length=3)),
    ("no graph 'ghost'", lambda m: m["components"]["denoiser"]["stages"][0].update(graph="ghost")),
    ("needs tokenizer", lambda m: m["components"]["text_encoder"].pop("tokenizer")),
    ("does not list it", lambda m: m.update(workflow="elsewhere.json")),
    ("where a .onnx file", lambda m: m["components"]["denoiser"]["graphs"].update(block="photo.png")),
    ("the component 'ghost'", lambda m: m["self_test"]["components"].update(ghost={"min_psnr": 60.0})),
    ("cannot tell apart", lambda m: m["files"].append({**m["files"][0], "path": "GRAPHS/BLOCK.onnx"})),
    ("cannot tell apart", lambda m: m["files"].append(dict(m["files"][0]))),
    ("both as a file and as a folder", lambda m: m["files"].append({**m["files"][0], "path": "graphs"})),
    ("lists itself", lambda m: m["files"].append({**m["files"][0], "path": "manifest.json"})),
    ("a length that another file", lambda m: m["files"].append({**m["files"][0], "path": "x", "bytes": 1})),
    ("bytes and the limit is", lambda m: m["files"].extend(huge("x", "y", "z"))),
    ("bytes", lambda m: m["files"][0].update(bytes=-1)),
    ("sha256", lambda m: m["files"][0].update(sha256="0" * 63)),
    ("sha256", lambda m: m["files"][0].update(sha256="0" * 64 + "\n")),
    ("memory", lambda m: m["memory"].update(weights=-1)),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "change"), WRONG)
def test_what_does_not_add_up_is_refused_in_a_sentence(
    manifest: dict[str, Any], sentence: str, change: Change
) -> None:
    wrong = copy.deepcopy(manifest)
    change(wrong)
    with pytest.raises(ManifestError, match=sentence) as caught:
        parse(canonical(wrong))
    assert "\n" not in str(caught.value).strip()


@pytest.mark.parametrize(
    "path",
    [
        "../evil", "a/../../b", "/etc/passwd", "C:/x", "a\\b", "..\\x", "a//b", "a/", "", ".", "..",
        ".hidden", "a/.b", "a\0b", "a\nb", "\u202egpj", "a:b", "~/x", "%2e%2e/x", "//host/share", "x" * 300,
        "a/" * 20 + "b", "CON", "con.txt", "lib/nul.onnx", "com1", "name.", "dir./x",
    ],
)  # fmt: skip
def test_t07_paths_that_climb_or_confuse_are_refused(manifest: dict[str, Any], path: str) -> None:
    wrong = copy.deepcopy(manifest)
    wrong["files"].append({"path": path, "sha256": "0" * 64, "bytes": 1})
    with pytest.raises(ManifestError):
        parse(canonical(wrong))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"a":1}x', b"NaN", b"[1e999]", b"[" + b"9" * 5000 + b"]",
        b"[" * 100_000, b'{"a":' * 50_000, b"[" * 30 + b"]" * 30, b'{"a":1,"a":2}', b" " * (17 * 2**20),
        b'{"a":"' + b"\\" * 1_000_001, b'"' * 999_999,
    ],
)  # fmt: skip
def test_t08_hostile_bytes_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(data)
    assert len(str(caught.value)) < 2000


def test_t08_a_million_files_are_refused(manifest: dict[str, Any]) -> None:
    wrong = {**manifest, "files": [{"path": f"f{n}", "sha256": "0" * 64, "bytes": 0} for n in range(20_001)]}
    with pytest.raises(ManifestError, match="files must contain less than"):
        parse(canonical(wrong))


def test_nan_cannot_be_written(manifest: dict[str, Any]) -> None:
    wrong = copy.deepcopy(manifest)
    op(wrong, "sample")["guidance"] = float("nan")
    with pytest.raises(ManifestError, match="cannot be written as JSON"):
        serialise(wrong)  # type: ignore[arg-type]


def test_only_the_canonical_form_is_taken(manifest: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="canonical"):
        parse(json.dumps(manifest).encode())


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_value_anywhere_is_accepted_or_refused_and_never_crashes(
    manifest: dict[str, Any], data: st.DataObject
) -> None:
    """The generated validator also agrees with the reference implementation, but for fractions like 7.0."""
    wrong = copy.deepcopy(manifest)
    node: Any = wrong
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if isinstance(node[key], (dict, list)) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(anything)
        break
    reference = jsonschema.Draft202012Validator(json.loads(generate.SCHEMA.read_text("utf-8")))
    try:
        validate(wrong)
        ours = True
    except SchemaError:
        ours = False
    if not isinstance(node[key], float):
        assert ours == reference.is_valid(wrong), (key, node[key])
    elif ours:
        assert reference.is_valid(wrong)
    with contextlib.suppress(ManifestError, UnicodeEncodeError):
        parse(canonical(wrong))


def test_a_link_cannot_be_bundled(tmp_path: Path) -> None:
    small.build(tmp_path / "b")
    (tmp_path / "b" / "extra.txt").symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match=r"extra.txt is a link"):
        write_bundle(tmp_path / "b", small.manifest())


def test_t07_a_file_swapped_for_a_link_is_refused(tmp_path: Path) -> None:
    small.build(tmp_path / "b")
    target = tmp_path / "b" / "photo.png"
    copy_of_it = tmp_path / "elsewhere.png"
    copy_of_it.write_bytes(target.read_bytes())
    target.unlink()
    target.symlink_to(copy_of_it)
    with pytest.raises(ValueError, match=r"photo.png"):
        Bundle.open(tmp_path / "b")
