"""Look at all images of a case, several at once: while one is decoded, the next one is read."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from dicom_node.analyzing.accept import look
from dicom_node.analyzing.rules import Judged, JudgedStudy, Terms
from dicom_node.ledger.tables import Instance
from dicom_node.spool import Spool
from inference.decoding.children import cores
from inference.decoding.files import open_file
from inference.mammogram import Mammogram
from inference.reading import read

HELD_BYTES = 384 << 20  # of decoded pixels; a study may bring hundreds of images


def looked_at(spool: Spool, images: Sequence[Instance], terms: Terms) -> list[Judged]:
    """Judge each image, once it is sure that it is the one that was received."""
    held, lock = 0, threading.Lock()

    def one(image: Instance) -> Judged:
        nonlocal held
        judged = look(spool.image(image.path, image.digest), terms)
        if judged.mammogram is None:
            return judged
        with lock:
            held += judged.mammogram.pixels.nbytes
            if held <= HELD_BYTES:
                return judged
            held -= judged.mammogram.pixels.nbytes
        return replace(judged, mammogram=None)

    with ThreadPoolExecutor(cores(), thread_name_prefix="look") as several:
        return list(several.map(one, images))


def views_of(spool: Spool, images: Sequence[Instance], study: JudgedStudy) -> list[Mammogram]:
    """Return the views that are read; of a large study, some have to be decoded once more."""
    return [
        one.mammogram or read(open_file(spool.path(image.path)))
        for image, one in zip(images, study.images, strict=True)
        if one.declined is None
    ]
