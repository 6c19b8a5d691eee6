import numpy as np
import pytest
from scipy import ndimage

from phantom.breast import DETECTOR_MM, Projection
from phantom.patient import Wanted
from phantom.study import SeenLesion, Study, View, study

ONE_OF_EACH = [
    Wanted("mass", malignant=True, side="L", shape="spiculated"),
    Wanted("calcification", malignant=True, side="L", shape="pleomorphic"),
    Wanted("mass", malignant=False, side="L", shape="oval"),
]


@pytest.fixture(scope="module")
def coarse() -> Study:
    return study(11, pitch_mm=0.4, lesions=[*ONE_OF_EACH, Wanted("mass", malignant=True, side="R")])


def full_mask(view: View, seen: SeenLesion) -> np.ndarray:
    full = np.zeros(view.pixels.shape, bool)
    full[seen.top : seen.bottom, seen.left : seen.right] = seen.mask
    return full


def averaged(pixels: np.ndarray) -> np.ndarray:
    rows, columns = pixels.shape
    return pixels.reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_a_study_has_four_views_in_reading_order(coarse: Study) -> None:
    assert [view.name for view in coarse.views] == ["RCC", "LCC", "RMLO", "LMLO"]
    assert coarse.cancer
    for view in coarse.views:
        assert view.pixels.dtype == np.uint16
        assert view.pixels.max() <= 4095
        assert view.pixels.shape == view.breast.shape


def test_only_the_asked_views_are_taken() -> None:
    asked = study(11, pitch_mm=0.8, projections=("MLO",), sides=("L",))
    assert [view.name for view in asked.views] == ["LMLO"]


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, other = (study(21, pitch_mm=0.4) for _ in range(2))
    assert one.patient == other.patient
    for mine, yours in zip(one.views, other.views, strict=True):
        assert mine.pixels.tobytes() == yours.pixels.tobytes()
    assert study(22, pitch_mm=0.4).views[0].pixels.tobytes() != one.views[0].pixels.tobytes()


@pytest.mark.parametrize("projection", ["CC", "MLO"])
def test_coarse_pixels_show_the_same_patient_as_fine_ones(projection: Projection) -> None:
    asked = {"lesions": ONE_OF_EACH, "sides": ("L",), "projections": (projection,)}
    (fine,) = study(11, pitch_mm=0.1, **asked).views
    (coarse,) = study(11, pitch_mm=0.2, **asked).views
    assert fine.pixels.shape == (2390, 1920)
    assert overlap(averaged(fine.breast) >= 0.5, coarse.breast) > 0.99
    for near, far in zip(fine.lesions, coarse.lesions, strict=True):
        assert near.lesion == far.lesion
        reduced = averaged(full_mask(fine, near)) >= 0.5
        assert overlap(reduced, full_mask(coarse, far)) > 0.85, near.lesion.shape
        assert abs(near.left / 2 - far.left) <= 2
        assert abs(near.bottom / 2 - far.bottom) <= 2
    inner = ndimage.binary_erosion(coarse.breast, iterations=20)
    reduced, seen = averaged(fine.pixels), coarse.pixels
    # Each pitch has noise of its own; a little blur leaves the tissue.
    near, far = (ndimage.gaussian_filter(p.astype(float), 3)[inner] for p in (reduced, seen))
    assert np.corrcoef(near, far)[0, 1] > 0.995
    assert near.mean() == pytest.approx(far.mean(), rel=0.01)


def test_noise_averages_down_as_quanta_do() -> None:
    asked = {"lesions": (), "sides": ("L",), "projections": ("CC",)}
    (fine,), (coarse,) = (study(11, pitch_mm=pitch, **asked).views for pitch in (0.1, 0.2))
    inner = ndimage.binary_erosion(coarse.breast, iterations=30)

    def roughness(pixels: np.ndarray) -> float:
        return float((pixels - ndimage.gaussian_filter(pixels, 1.5))[inner].std())

    ratio = roughness(averaged(fine.pixels)) / roughness(coarse.pixels.astype(float))
    assert 0.75 < ratio < 1.25


def test_a_box_frames_its_mask_and_lies_in_the_breast(coarse: Study) -> None:
    seen = [(view, lesion) for view in coarse.views for lesion in view.lesions]
    assert len(seen) == 8
    for view, lesion in seen:
        assert lesion.mask.shape == (lesion.bottom - lesion.top, lesion.right - lesion.left)
        for edge in (lesion.mask[0], lesion.mask[-1], lesion.mask[:, 0], lesion.mask[:, -1]):
            assert edge.any()
        mask = full_mask(view, lesion)
        assert view.breast[mask].all()
        assert lesion.lesion.side == view.side


def test_a_lesion_is_the_same_one_in_both_views(coarse: Study) -> None:
    _, left_cc, _, left_mlo = coarse.views
    for above, oblique in zip(left_cc.lesions, left_mlo.lesions, strict=True):
        assert above.lesion is oblique.lesion
        middles = [(seen.left + seen.right) / 2 * 0.4 for seen in (above, oblique)]
        assert abs(middles[0] - middles[1]) < 6


@pytest.mark.parametrize("seed", range(30, 42))
def test_lesions_of_one_breast_never_touch(seed: int) -> None:
    wanted = [Wanted("mass", malignant=True, side="L"), *ONE_OF_EACH[1:]]
    for view in study(seed, pitch_mm=0.4, lesions=wanted, sides=("L",)).views:
        for number, one in enumerate(view.lesions):
            for other in view.lesions[:number]:
                apart = (
                    one.right <= other.left
                    or other.right <= one.left
                    or one.bottom <= other.top
                    or other.bottom <= one.top
                )
                assert apart


def test_lesions_change_the_picture_only_where_they_are() -> None:
    with_one = study(11, pitch_mm=0.4, lesions=ONE_OF_EACH[:1])
    without = study(11, pitch_mm=0.4, lesions=())
    for changed, plain in zip(with_one.views, without.views, strict=True):
        difference = changed.pixels != plain.pixels
        if changed.side == "R":
            assert not difference.any()
            continue
        (seen,) = changed.lesions
        rows, columns = np.nonzero(difference)
        reach = 3.2 * seen.lesion.size_mm / 0.4
        assert seen.top - reach < rows.min() < rows.max() < seen.bottom + reach
        assert seen.left - reach < columns.min() < columns.max() < seen.right + reach
        mask = full_mask(changed, seen)
        assert changed.pixels[mask].mean() > plain.pixels[mask].mean() + 300


def test_the_chest_wall_lies_left_of_a_left_breast_and_right_of_a_right_one(coarse: Study) -> None:
    for view in coarse.views:
        wall, away = (0, -1) if view.side == "L" else (-1, 0)
        assert view.breast[:, wall].any()
        assert not view.breast[:, away].any()
        row, column = view.nipple
        middle = view.pixels.shape[1] / 2
        widest = np.nonzero(view.breast.any(axis=0))[0]
        assert view.breast[row, column]
        assert column == (widest.max() if view.side == "L" else widest.min())
        assert (column < middle * 1.3) if view.side == "L" else (column > middle * 0.7)


def test_the_muscle_shows_in_the_oblique_view_alone(coarse: Study) -> None:
    _, left_cc, _, left_mlo = coarse.views
    corner = np.s_[: int(15 / 0.4), : int(12 / 0.4)]
    assert not left_cc.breast[corner].any()
    tail = left_mlo.pixels[: int(15 / 0.4)]
    fat = np.median(tail[left_mlo.breast[: int(15 / 0.4)]])
    assert left_mlo.pixels[corner].mean() > fat


def test_around_the_breast_there_is_nothing_but_a_marker_far_away(coarse: Study) -> None:
    for view in coarse.views:
        outside = np.nonzero((view.pixels > 0) & ~view.breast)
        assert outside[0].size > 20
        assert outside[0].max() * 0.4 < 26
        across = outside[1] * 0.4
        from_wall = across if view.side == "L" else DETECTOR_MM[1] - across
        assert from_wall.min() > 150
        assert view.pixels[outside].max() > 3000


def test_texture_has_the_spectrum_of_mammograms() -> None:
    # Burgess 2001: power falls as 1/f^beta with beta about 3.
    slopes = []
    for seed in (1, 4, 6):
        view = study(seed, pitch_mm=0.2, lesions=(), sides=("L",), projections=("CC",)).views[0]
        depth = ndimage.distance_transform_edt(view.breast)
        row, column = np.unravel_index(depth.argmax(), depth.shape)
        patch = view.pixels[row - 64 : row + 64, max(0, column - 64) :][:, :128].astype(float)
        patch = (patch - patch.mean()) * np.hanning(128)[:, None] * np.hanning(128)
        power = np.abs(np.fft.fft2(patch)) ** 2
        axis = np.fft.fftfreq(128, 0.2)
        frequency = np.hypot(axis[:, None], axis[None, :])
        held = (frequency > 0.15) & (frequency < 1.0)
        slopes.append(-np.polyfit(np.log(frequency[held]), np.log(power[held]), 1)[0])
    assert 2.3 < np.median(slopes) < 3.7


def test_a_pitch_no_detector_has_is_refused() -> None:
    with pytest.raises(ValueError, match="ask for a pitch of"):
        study(1, pitch_mm=5)
