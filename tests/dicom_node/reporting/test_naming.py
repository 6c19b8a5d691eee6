from pydicom.uid import UID

from dicom_node.reporting import naming


def test_uids_are_valid_and_follow_from_the_words() -> None:
    first = naming.uid("a", "b")
    assert first.is_valid
    assert len(first) <= 64
    assert first == naming.uid("a", "b") == UID(str(first))


def test_words_are_not_run_together() -> None:
    assert naming.uid("ab", "c") != naming.uid("a", "bc")


def test_each_kind_round_bundle_and_image_has_its_own_name() -> None:
    names = {
        make(kind, study, round_, bundle, image)
        for make in (naming.series_uid, naming.instance_uid)
        for kind in ("cad_sr", "segmentation")
        for study in ("1.2", "1.3")
        for round_ in (1, 2)
        for bundle in ("x", "y")
        for image in ("", "1.2.3")
    }
    assert len(names) == 2**6


def test_many_uids_are_valid() -> None:
    assert all(naming.uid(str(number)).is_valid for number in range(2000))
