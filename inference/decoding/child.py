"""The process that decodes: what it may use of memory and time is set anew for each image.

It reads a line that says what to do, and answers with a line. Pixels go through memory that it
shares with its parent. It holds no secret, writes no file, and ends with its parent.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate

from inference.decoding.header import header_at
from inference.errors import Unreadable

PAGE_BYTES = resource.getpagesize()
MARGIN_BYTES = 48 << 20  # of address space, for what Python itself may want to grow by


def serve(shared: int) -> None:
    """Do what is asked for until nobody asks any more."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    silence = os.open(os.devnull, os.O_WRONLY)
    for chatter in (1, 2):  # decoders speak of faults to whoever runs them
        os.dup2(silence, chatter)
    warnings.simplefilter("ignore")  # they warn of harmless padding, and raise about the rest
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # where the machine runs out of memory: this one first
        Path("/proc/self/oom_score_adj").write_text("900", encoding="ascii")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for line in asked:
        wish = json.loads(line)
        answers.write(json.dumps(_answer(shared, wish)).encode() + b"\n")


def _answer(shared: int, wish: dict[str, Any]) -> dict[str, Any]:
    """Do one thing within its limits; the kernel ends what does not keep them."""
    work: dict[str, Callable[[int, dict[str, Any]], dict[str, Any]]] = {
        "decode": _decode,
        "try": _try_header,
    }
    _limit(wish)
    try:
        return work[wish["do"]](shared, wish)
    except MemoryError:
        return {"fault": "memory"}
    except Unreadable as trouble:
        return {"sentence": str(trouble)}
    except Exception as fault:  # noqa: BLE001 - bytes from outside: decoders raise anything
        return {"fault": type(fault).__name__}
    finally:
        signal.alarm(0)
        _unlimited()


def _limit(wish: dict[str, Any]) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE_BYTES
    _soft(resource.RLIMIT_AS, used + MARGIN_BYTES + int(wish["memory_bytes"]))
    times = os.times()
    _soft(resource.RLIMIT_CPU, int(times.user + times.system) + 1 + int(wish["cpu_seconds"]))
    signal.alarm(int(wish["seconds"]))


def _unlimited() -> None:
    for which in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
        _soft(which, resource.RLIM_INFINITY)


def _soft(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = hard if value == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, hard))


def _decode(shared: int, wish: dict[str, Any]) -> dict[str, Any]:
    """Decode the code stream that lies in the shared memory, and put its pixels there."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = wish["syntax"]
    image.Rows, image.Columns = wish["rows"], wish["columns"]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored = wish["bits_allocated"], wish["bits_stored"]
    image.HighBit, image.PixelRepresentation = wish["bits_stored"] - 1, int(wish["signed"])
    image.PixelData = encapsulate([os.pread(shared, wish["stream_bytes"], 0)], has_bot=False)
    image["PixelData"].VR = "OB"
    pixels = image.pixel_array
    content, place = np.ascontiguousarray(pixels).data.cast("B"), 0
    while place < len(content):
        place += os.pwrite(shared, content[place:], place)
    return {"shape": pixels.shape, "dtype": pixels.dtype.str}


def _try_header(_: int, wish: dict[str, Any]) -> dict[str, Any]:
    """Read a header and each of its values, as others will: it may cost more than it weighs."""
    header, _place = header_at(Path(wish["path"]), wish["most_bytes"])
    _read_all(header)
    return {}


def _read_all(dataset: Dataset) -> None:
    for tag in list(dataset.keys()):
        with contextlib.suppress(ArithmeticError, AttributeError, LookupError, ValueError):
            value = dataset[tag].value
            if dataset[tag].VR == "SQ":
                for item in value:
                    _read_all(item)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
