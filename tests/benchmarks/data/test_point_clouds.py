"""The loaders of point clouds on small files in exactly the official formats."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.data.modelnet40 import ModelNet40
from benchmarks.data.point_clouds import PROJECTION_VERSION, CloudFiles, cloud_sample, unit_sphere
from benchmarks.data.scanobjectnn import ScanObjectNN
from falip import depth
from falip.depth import depth_maps, voxel_depth_maps
from falip.errors import UserError

NAMES = ("airplane", "bathtub", "night_stand")


def _clouds(seed: int, count: int, points: int = 2048) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, size=(count, points, 3)).astype(np.float32)


def _write_h5(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip")


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    """A data folder with ModelNet40 of five test objects in two files, and two training objects in one."""
    folder = tmp_path / "modelnet40_ply_hdf5_2048"
    for name, seed, labels in (("test0", 0, [2, 0, 1]), ("test1", 1, [1, 2]), ("train0", 2, [0, 1])):
        label = np.array(labels, dtype=np.uint8)[:, None]
        _write_h5(folder / f"ply_data_{name}.h5", data=_clouds(seed, len(labels)), label=label)
    prefix = "data/modelnet40_ply_hdf5_2048"
    (folder / "test_files.txt").write_text(f"{prefix}/ply_data_test0.h5\n{prefix}/ply_data_test1.h5\n")
    (folder / "train_files.txt").write_text("ply_data_train0.h5\n")
    (folder / "shape_names.txt").write_text("\n".join(NAMES) + "\n")
    return tmp_path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A data folder with three scans of each of three variants of ScanObjectNN, far from the origin."""
    files = ("main_split_nobg/test_objectdataset.h5", "main_split/test_objectdataset.h5")
    for seed, name in enumerate((*files, "main_split/test_objectdataset_augmentedrot_scale75.h5")):
        _write_h5(
            tmp_path / "scanobjectnn" / name,
            data=_clouds(seed, 3) * 3 + np.float32(5),
            label=np.array([14, 0, 4], dtype=np.int32),
            mask=np.full((3, 2048), -1, dtype=np.int32),
        )
    return tmp_path


def _modelnet(root: Path, **options) -> ModelNet40:
    return ModelNet40(str(root), **{"contract": False, **options})


def _depths(sample) -> np.ndarray:
    return np.stack([np.asarray(picture.image) for picture in sample.pictures])


def test_modelnet_follows_the_lists_of_files(modelnet: Path):
    dataset = _modelnet(modelnet)
    assert dataset.class_names == NAMES
    assert len(dataset.index) == 5 and len({info.id for info in dataset.index}) == 5
    samples = [dataset.load(i) for i in range(5)]
    assert [sample.queries[0].label for sample in samples] == [2, 0, 1, 1, 2]
    assert [sample.queries[0].text for sample in samples] == [NAMES[label] for label in (2, 0, 1, 1, 2)]
    assert [sample.id for sample in samples] == [info.id for info in dataset.index]
    assert all(info.queries == 1 and info.regions == 6 for info in dataset.index)
    # Sample 3 is the first of the second file.
    first = torch.from_numpy(_clouds(1, 2)[:1, :1024])
    np.testing.assert_array_equal(_depths(samples[3]), depth_maps(first)[0].numpy())
    train = _modelnet(modelnet, split="train")
    assert [train.load(i).queries[0].label for i in range(len(train.index))] == [0, 1]


def test_a_sample_shows_raw_depth_and_looks_at_what_is_drawn(modelnet: Path):
    sample = _modelnet(modelnet).load(0)
    assert len(sample.pictures) == 6
    for picture in sample.pictures:
        depth = np.asarray(picture.image)
        assert picture.image.mode == "F" and picture.image.size == (128, 128)
        assert depth.max() > 1 and depth.min() == 0
        (region,) = picture.regions
        np.testing.assert_array_equal(region.mask, depth > 0)
        rows, columns = np.nonzero(depth)
        assert region.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_points_and_projection_are_parameters_and_identity(modelnet: Path):
    few, all_points = (_modelnet(modelnet, points=points) for points in (64, 2048))
    assert (_depths(few.load(0)) > 0).sum() < (_depths(all_points.load(0)) > 0).sum()
    voxels = _modelnet(modelnet, projection="v2")
    sample = voxels.load(0)
    assert len(sample.pictures) == 10 == voxels.index[0].regions
    expected = voxel_depth_maps(torch.from_numpy(_clouds(0, 3)[:1, :1024]))[0].numpy()
    np.testing.assert_array_equal(_depths(sample), expected)
    np.testing.assert_array_equal(sample.pictures[0].regions[0].mask, expected[0] < 1)
    variants = (few, all_points, voxels, _modelnet(modelnet), _modelnet(modelnet, normalise=True))
    identities = [str(dataset.identity) for dataset in variants]
    assert len(set(identities)) == len(identities)


def test_identity_follows_the_content_and_not_the_place(modelnet: Path, tmp_path_factory):
    before = _modelnet(modelnet).identity
    copy = tmp_path_factory.mktemp("copy") / "data"
    shutil.copytree(modelnet, copy)
    assert _modelnet(copy).identity == before
    _write_h5(copy / "modelnet40_ply_hdf5_2048/ply_data_test1.h5", data=_clouds(9, 2), label=np.array([[1], [2]]))
    assert _modelnet(copy).identity != before


def test_worker_threads_get_the_same_samples(modelnet: Path):
    alone = _modelnet(modelnet)
    together = _modelnet(modelnet)
    with ThreadPoolExecutor(4) as pool:
        samples = list(pool.map(together.load, [0, 1, 2, 3, 4] * 3))
    for k, sample in enumerate(samples):
        np.testing.assert_array_equal(_depths(sample), _depths(alone.load(k % 5)))


def test_counts_that_do_not_fit_are_refused(modelnet: Path, scans: Path):
    with pytest.raises(UserError, match=r"names 3 classes, but 40.*falip data modelnet40"):
        _ = _modelnet(modelnet, contract=True).index
    names = modelnet / "modelnet40_ply_hdf5_2048" / "shape_names.txt"
    names.write_text("\n".join(f"class_{k}" for k in range(40)))
    for split, found, expected in (("test", 5, 2468), ("train", 2, 9840)):
        with pytest.raises(UserError, match=rf"{found} samples, but {expected}.*contract=false"):
            _ = _modelnet(modelnet, split=split, contract=True).index
    for variant, expected in (("OBJ_ONLY", 581), ("OBJ_BG", 581), ("PB_T50_RS", 2882)):
        with pytest.raises(UserError, match=rf"{variant}.*3 samples, but {expected}"):
            _ = ScanObjectNN(str(scans), variant).index


def test_damaged_files_are_named_with_the_mend(modelnet: Path):
    path = modelnet / "modelnet40_ply_hdf5_2048" / "ply_data_test1.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"ply_data_test1\.h5 cannot be read.*falip data modelnet40"):
        _ = _modelnet(modelnet).index
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match=r"ply_data_test1\.h5 cannot be read"):
        _ = _modelnet(modelnet).index
    path.unlink()
    for read in (lambda dataset: dataset.index, lambda dataset: dataset.identity):
        with pytest.raises(UserError, match=r"ply_data_test1\.h5 is missing.*falip data modelnet40"):
            read(_modelnet(modelnet))


def test_damage_inside_a_file_is_found_when_it_is_read(modelnet: Path):
    path = modelnet / "modelnet40_ply_hdf5_2048" / "ply_data_test1.h5"
    content = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        offset = file["data"].id.get_chunk_info(0).byte_offset
    content[offset : offset + 64] = bytes(64)
    path.write_bytes(content)
    dataset = _modelnet(modelnet)
    assert dataset.load(0)
    with pytest.raises(UserError, match=r"ply_data_test1\.h5 cannot be read"):
        dataset.load(3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"data": _clouds(0, 2)}, "'label' is missing; found data"),
        ({"label": np.zeros(2)}, "'data' is missing; found label"),
        ({"data": _clouds(0, 2), "label": np.array([[0], [3]])}, "cloud 1 has the label 3, but there are 3 classes"),
        ({"data": _clouds(0, 2), "label": np.array([[-1], [0]])}, "cloud 0 has the label -1"),
        ({"data": _clouds(0, 2), "label": np.zeros((3, 1))}, "3 labels"),
        ({"data": _clouds(0, 2)[..., :2], "label": np.zeros((2, 1))}, r"\(2, 2048, 2\)"),
        ({"data": _clouds(0, 2, points=100), "label": np.zeros((2, 1))}, "100 points, and 1024"),
    ],
)
def test_files_of_another_form_are_refused(modelnet: Path, arrays: dict[str, np.ndarray], message: str):
    _write_h5(modelnet / "modelnet40_ply_hdf5_2048" / "ply_data_test1.h5", **arrays)
    with pytest.raises(UserError, match=rf"ply_data_test1\.h5.*{message}"):
        _ = _modelnet(modelnet).index


def test_missing_folders_and_unknown_values_are_named(tmp_path: Path, modelnet: Path):
    with pytest.raises(UserError, match=r"scanobjectnn.*is missing.*falip data scanobjectnn"):
        _ = ScanObjectNN(str(tmp_path)).index
    with pytest.raises(UserError, match="OBJ_ONLY"):
        ScanObjectNN(str(tmp_path), "OBJ_NONE")
    with pytest.raises(UserError, match=r"task\.split=val"):
        _modelnet(modelnet, split="val")
    with pytest.raises(UserError, match="v1, v2"):
        _modelnet(modelnet, projection="v3")
    with pytest.raises(UserError, match=r"task\.dataset\.points is 0"):
        _modelnet(modelnet, points=0)


def test_a_cloud_that_is_not_finite_is_named(modelnet: Path):
    clouds = _clouds(1, 2)
    clouds[1, 5, 0] = np.nan
    _write_h5(modelnet / "modelnet40_ply_hdf5_2048/ply_data_test1.h5", data=clouds, label=np.array([[1], [2]]))
    with pytest.raises(UserError, match=r"ply_data_test1\.h5: cloud 1"):
        _modelnet(modelnet).load(4)


@pytest.mark.parametrize(("variant", "seed"), [("OBJ_ONLY", 0), ("OBJ_BG", 1), ("PB_T50_RS", 2)])
def test_scanobjectnn_reads_the_file_of_its_variant(scans: Path, variant: str, seed: int):
    dataset = ScanObjectNN(str(scans), variant, contract=False)
    assert len(dataset.class_names) == 15
    assert [dataset.load(i).queries[0].text for i in range(3)] == ["toilet", "bag", "chair"]
    scan = unit_sphere(_clouds(seed, 3)[2, :1024] * 3 + np.float32(5))
    np.testing.assert_array_equal(_depths(dataset.load(2)), depth_maps(torch.from_numpy(scan)[None])[0].numpy())


def test_scans_are_moved_into_the_unit_sphere_unless_told_not_to(scans: Path):
    normalised = ScanObjectNN(str(scans), "OBJ_ONLY", contract=False)
    as_scanned = ScanObjectNN(str(scans), "OBJ_ONLY", contract=False, normalise=False)
    assert (_depths(normalised.load(0)) > 0).any(axis=(1, 2)).all()
    with pytest.raises(UserError, match=r"test_objectdataset\.h5: cloud 0 reaches .*task\.dataset\.normalise=true"):
        as_scanned.load(0)
    assert normalised.identity != as_scanned.identity
    # The projection of PointCLIP V2 fits each cloud to its picture by itself.
    assert ScanObjectNN(str(scans), "OBJ_ONLY", contract=False, normalise=False, projection="v2").load(0)


def test_the_version_of_the_projections_is_the_librarys():
    assert PROJECTION_VERSION == depth.VERSION


@pytest.mark.parametrize("scale", [1e20, 3e38])
def test_a_cloud_too_large_for_its_numbers_is_named(modelnet: Path, scale: float):
    clouds = _clouds(1, 2) * np.float32(scale)
    _write_h5(modelnet / "modelnet40_ply_hdf5_2048/ply_data_test1.h5", data=clouds, label=np.array([[1], [2]]))
    for normalise in (True, False):
        with pytest.raises(UserError, match=r"ply_data_test1\.h5: cloud 0"):
            _modelnet(modelnet, normalise=normalise).load(3)


@given(st.floats(0.1, 50))
@settings(max_examples=20, deadline=None)
def test_a_cloud_is_refused_from_the_unit_sphere_on(radius: float):
    points = np.array([[0, 0, 0], [radius, 0, 0]], dtype=np.float32)
    files = CloudFiles([], 2, 1, "", normalise=False, unit=True)
    if radius <= 1:
        assert files._placed(points, "here") is points
    elif radius > 1.002:
        with pytest.raises(UserError, match="here reaches"):
            files._placed(points, "here")


def test_the_archive_may_keep_its_top_folder(scans: Path):
    folder = scans / "scanobjectnn"
    (folder / "main_split").rename(scans / "main_split")
    (folder / "h5_files").mkdir()
    (scans / "main_split").rename(folder / "h5_files" / "main_split")
    assert len(ScanObjectNN(str(scans), contract=False).index) == 3


def test_unit_sphere_centres_and_scales():
    points = unit_sphere(_clouds(0, 1)[0] * 7 + np.float32(3))
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-5)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=1e-6)
    assert not unit_sphere(np.ones((4, 3), dtype=np.float32)).any()


def test_a_view_without_any_point_looks_at_the_whole_picture():
    # Behind the first camera, in front of the third.
    sample = cloud_sample("one", np.array([[0, 0, -2]], dtype=np.float32), 0, "bag", "v1")
    assert sample.pictures[0].regions[0].box == (0, 0, 128, 128)
    assert sample.pictures[0].regions[0].mask is None
    assert sample.fallback
    assert not cloud_sample("one", np.zeros((1, 3), dtype=np.float32), 0, "bag", "v1").fallback
    box = sample.pictures[2].regions[0].box
    assert (box[2] - box[0], box[3] - box[1]) == (1, 1)
