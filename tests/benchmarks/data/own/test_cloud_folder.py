"""One's own point clouds and meshes, in a folder for each class."""

import numpy as np
import pytest

from benchmarks.data.own.cloud_folder import CloudFolder
from falip.errors import UserError

trimesh = pytest.importorskip("trimesh")


@pytest.fixture
def folder(tmp_path):
    for name, mesh in (("box", trimesh.creation.box()), ("ball", trimesh.creation.icosphere())):
        (tmp_path / name).mkdir()
        mesh.export(tmp_path / name / "a.off")
        mesh.export(tmp_path / name / "b.ply")
        np.save(tmp_path / name / "c.npy", mesh.sample(200).astype(np.float64))
    (tmp_path / "box" / ".DS_Store").write_text("x")
    return tmp_path


def _data(folder, points=150, **options):
    return CloudFolder(str(folder), points=points, **options)


def test_each_file_is_an_object_of_its_folders_class(folder):
    data = _data(folder)
    assert data.class_names == ("ball", "box")
    assert [info.id for info in data.index] == [
        f"{name}/{file}" for name in data.class_names for file in ("a.off", "b.ply", "c.npy")
    ]
    sample = data.load(3)
    assert (sample.queries[0].text, sample.queries[0].label, len(sample.pictures)) == ("box", 1, 6)
    assert not sample.fallback


def test_points_of_a_mesh_lie_on_its_surface_and_are_drawn_by_the_seed(folder):
    points, _ = _data(folder, normalise=True)._cloud(3)
    faces = np.abs(points).max(axis=1)  # of a centred cube each point has one coordinate at the face
    assert np.quantile(faces, 0.9) - np.quantile(faces, 0.1) < 0.1
    same, other = _data(folder)._cloud(3)[0], _data(folder, seed=1)._cloud(3)[0]
    assert np.array_equal(points, same) and not np.array_equal(points, other)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1, abs=1e-6)


def test_the_identity_moves_with_files_and_seed(folder):
    first = _data(folder).identity
    assert _data(folder).identity == first != _data(folder, seed=1).identity
    np.save(folder / "box" / "d.npy", np.ones((200, 3)))
    assert _data(folder).identity != first


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("d.npy", lambda path: np.save(path, np.ones((20, 3))), "has 20 points, and task.dataset.points=150"),
        ("d.npy", lambda path: np.save(path, np.ones((200, 2))), r"shape \(200, 2\)"),
        ("d.npy", lambda path: np.save(path, np.full((200, 3), np.nan)), "not finite"),
        ("d.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read"),
        ("d.npy", lambda path: path.write_bytes(b"no array"), "cannot be read"),
        ("d.off", lambda path: path.write_text("OFF\n3 9"), "d.off"),
        ("d.ply", lambda path: path.write_bytes(b"ply\nnonsense"), "d.ply"),
    ],
)
def test_a_broken_object_is_named(folder, name, write, said):
    write(folder / "box" / name)
    data = _data(folder)
    place = next(i for i, info in enumerate(data.index) if info.id == f"box/{name}")
    with pytest.raises(UserError, match=said):
        data.load(place)


def test_files_of_another_kind_and_folders_without_objects_are_refused(folder, tmp_path):
    (folder / "box" / "notes.txt").write_text("x")
    with pytest.raises(UserError, match=r"notes\.txt"):
        _ = _data(folder).index
    with pytest.raises(UserError, match="has no object"):
        _ = _data(tmp_path / "box").index
    with pytest.raises(UserError, match="There is no folder"):
        _ = _data(tmp_path / "nowhere").index


def test_clouds_beyond_the_unit_sphere_are_refused_where_the_projection_sees_it_alone(folder):
    np.save(folder / "box" / "c.npy", np.random.default_rng(0).normal(size=(200, 3)) * 5)
    with pytest.raises(UserError, match=r"task\.dataset\.normalise=true"):
        _data(folder, normalise=False).load(5)
