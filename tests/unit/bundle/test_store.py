"""The store: whole files or none, resumed and never re-sent, every flipped byte refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import (
    MANIFEST_NAME,
    Bundle,
    BundleError,
    DigestError,
    GraphError,
    QuotaError,
    Store,
    write_bundle,
)
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle

from unit.engine import small


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small.build(tmp_path_factory.mktemp("bundle") / "b")


def test_a_bundle_runs_from_a_store_as_from_its_folder(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path / "store")
    installed = store.add(bundle)
    assert installed.id == bundle.id and store.bundles() == [bundle.id]
    assert store.missing(bundle.manifest) == []
    a = run_bundle(bundle, threads=1, output_dir=tmp_path / "a").frames
    b = run_bundle(store.open(bundle.id), threads=1, output_dir=tmp_path / "b").frames
    assert (a == b).all()


def test_one_flipped_byte_in_any_file_is_refused_and_named(tmp_path: Path, bundle: Bundle) -> None:
    folder = tmp_path / "b"
    shutil.copytree(bundle.path("workflow.json").parent, folder)
    for name in bundle.files:
        path = folder / name
        data = bytearray(path.read_bytes())
        for position in {0, len(data) // 2, len(data) - 1}:
            data[position] ^= 0x10
            path.write_bytes(data)
            with pytest.raises(DigestError, match="SHA-256 differs") as caught:
                Bundle.open(folder).verify()
            assert caught.value.path == name and name in str(caught.value)
            data[position] ^= 0x10
        path.write_bytes(data)
    Bundle.open(folder).verify()


def test_one_flipped_byte_in_the_manifest_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    folder = tmp_path / "b"
    shutil.copytree(bundle.path("workflow.json").parent, folder)
    data = bytearray(bundle.data)
    # A changed digit of a default keeps the manifest well formed: only the id can tell.
    position = bytes(data).index(b'"default":2.0') + len(b'"default":')
    data[position] = ord("3")
    (folder / MANIFEST_NAME).write_bytes(data)
    assert Bundle.open(folder).id != bundle.id
    with pytest.raises(DigestError, match=MANIFEST_NAME):
        Bundle.open(folder, expected_id=bundle.id)
    store = Store(tmp_path / "store")
    store.add(bundle)
    with pytest.raises(DigestError, match="announced"):
        store.install(bytes(data), bundle.id)
    (store.root / "bundles" / bundle.id / MANIFEST_NAME).write_bytes(data)
    with pytest.raises(DigestError, match="damaged"):
        store.open(bundle.id)


@pytest.mark.parametrize("change", ["missing", "longer", "shorter"])
def test_a_missing_or_resized_file_is_named_at_once(tmp_path: Path, bundle: Bundle, change: str) -> None:
    folder = tmp_path / "b"
    shutil.copytree(bundle.path("workflow.json").parent, folder)
    path = folder / "weights/block_0.safetensors"
    data = path.read_bytes()
    path.unlink()
    if change != "missing":
        path.write_bytes(data + b"x" if change == "longer" else data[:-1])
    with pytest.raises(DigestError, match=r"weights/block_0.safetensors"):
        Bundle.open(folder)


def test_a_transfer_goes_on_where_it_stopped(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path)
    entry = bundle.files["photo.png"]
    data = bundle.read("photo.png")
    with store.receive(entry) as part:
        assert part.offset == 0
        part.write(data[:40])
    assert store.resume_offset(entry) == 40
    assert not store.has(entry)
    assert (
        store.missing_bytes(bundle.manifest)
        == sum(size for size in {item["sha256"]: item["bytes"] for item in bundle.files.values()}.values())
        - 40
    )
    # A new process finds the part and hashes it.
    with Store(tmp_path).receive(entry) as part:
        assert part.offset == 40
        part.write(data[40:])
        path = part.commit()
    assert path == store.blob_path(entry["sha256"]) and path.read_bytes() == data
    assert store.has(entry) and store.resume_offset(entry) == entry["bytes"]
    assert not store.part_path(entry["sha256"]).exists()


def test_a_damaged_transfer_is_dropped_and_a_short_one_kept(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path)
    entry = bundle.files["photo.png"]
    data = bundle.read("photo.png")
    with store.receive(entry) as part:
        part.write(data[:-1])
        with pytest.raises(DigestError, match="ended after"):
            part.commit()
    assert store.resume_offset(entry) == len(data) - 1
    with store.receive(entry) as part:
        part.write(b"!")
        with pytest.raises(DigestError, match=r"photo.png arrived damaged"):
            part.commit()
    assert store.resume_offset(entry) == 0 and not store.has(entry)
    with store.receive(entry) as part, pytest.raises(DigestError, match="longer than"):
        part.write(data + b"x")
    assert store.resume_offset(entry) == 0


def test_the_same_file_is_not_received_twice_at_once(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path)
    entry = bundle.files["photo.png"]
    with store.receive(entry), pytest.raises(BundleError, match="already arriving"):
        store.receive(entry)
    store.receive(entry).close()


def test_installing_needs_every_file_and_leaves_no_trace_of_a_bad_one(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path)
    with pytest.raises(DigestError, match="missing"):
        store.install(bundle.data)
    assert store.bundles() == []
    store.add(bundle)
    store.remove(bundle.id)
    store.add(bundle)
    blob = store.blob_path(bundle.files["photo.png"]["sha256"])
    blob.write_bytes(b"x" * bundle.files["photo.png"]["bytes"])
    with pytest.raises(DigestError, match=r"photo.png"):
        store.install(bundle.data)
    assert [entry["path"] for entry in store.missing(bundle.manifest)] == ["photo.png"]


def test_bundles_share_files_and_removing_one_keeps_the_other(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path / "store")
    store.add(bundle)
    other_folder = tmp_path / "other"
    shutil.copytree(bundle.path("workflow.json").parent, other_folder)
    (other_folder / "workflow.json").write_text('{"other":1}', "utf-8")
    other = write_bundle(other_folder, {**small.manifest(), "name": "other"})
    assert [entry["path"] for entry in store.missing(other.manifest)] == ["workflow.json"]
    store.add(other)
    assert store.remove(other.id) == len('{"other":1}')
    assert store.bundles() == [bundle.id]
    store.open(bundle.id).verify()
    assert store.remove(bundle.id) > 0
    assert store.used_bytes() == 0 and store.remove(bundle.id) == 0
    with pytest.raises(BundleError, match="not on this device"):
        store.open(bundle.id)


def test_a_bundle_beyond_the_quota_is_refused_in_a_sentence(tmp_path: Path, bundle: Bundle) -> None:
    store = Store(tmp_path, quota=1000)
    with pytest.raises(
        QuotaError, match=r"needs .* MB more and the store holds 0.0 MB of its 0.0 MB; raise the quota"
    ):
        store.add(bundle)
    assert not list(tmp_path.rglob("*"))
    Store(tmp_path, quota=10**8).add(bundle)


def test_what_is_free_counts_half_files_and_names_what_to_delete(tmp_path: Path, bundle: Bundle) -> None:
    size = sum(entry["bytes"] for entry in bundle.files.values())
    store = Store(tmp_path / "store", quota=size + 1000)
    assert store.free_bytes() == size + 1000
    store.add(bundle)
    assert store.free_bytes() == 1000
    part = store.part_path("a" * 64)
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(bytes(600))
    assert store.free_bytes() == 1000 and store.used_bytes() == size + 600
    tight = Store(store.root, quota=size + 601)
    folder = tmp_path / "other"
    shutil.copytree(bundle.path("workflow.json").parent, folder)
    (folder / "workflow.json").write_text('{"other":1}', "utf-8")
    other = write_bundle(folder, {**small.manifest(), "name": "other"})
    with pytest.raises(QuotaError, match=r"delete a bundle \(small\) or raise the quota"):
        tight.add(other)
    assert store.remove_unfinished() == 600 and not part.exists()
    tight.add(other)


@pytest.mark.parametrize("name", ["../x", "x" * 64, "A" * 64, "0" * 63, "0" * 64 + "\n", ""])
def test_t07_only_digests_name_blobs_and_bundles(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    with pytest.raises(BundleError):
        store.blob_path(name)
    with pytest.raises(BundleError):
        store.open(name)
    with pytest.raises(BundleError):
        store.remove(name)


def test_t10_a_bundle_with_a_forbidden_graph_is_not_installed(tmp_path: Path, bundle: Bundle) -> None:
    import onnx

    folder = tmp_path / "b"
    shutil.copytree(bundle.path("workflow.json").parent, folder)
    model = onnx.load(folder / "graphs/vae_decoder.onnx")
    model.graph.node[0].domain = "evil.ops"
    (folder / "graphs/vae_decoder.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(GraphError, match=r"graphs/vae_decoder.onnx uses the operator 'Mul' of 'evil.ops'"):
        write_bundle(folder, small.manifest())
