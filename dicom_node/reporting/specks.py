"""How many calcifications a finding holds, and whether they lie in a group.

What is counted are the separate parts of the mask. A network that paints a whole cluster as one
patch says nothing of its number, so a mask of one part is not counted.
"""

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

from inference.findings import Finding, Kind

LEAST_COUNTED = 2
GROUP = 5  # BI-RADS, 5th edition: a group has at least five within a centimeter
GROUP_MM = 20.0  # and reaches over at most two centimeters; more is regional, or a segment


def counted(finding: Finding) -> int | None:
    """Count the calcifications of a finding; None where its mask does not tell them apart."""
    if finding.kind is not Kind.CALCIFICATION or finding.mask is None:
        return None
    _, count = ndimage.label(finding.mask.pixels, structure=np.ones((3, 3), dtype=np.bool_))
    return int(count) if count >= LEAST_COUNTED else None


def in_a_group(finding: Finding, header: Dataset) -> bool:
    """Say whether the calcifications of a finding are grouped; not to say so means nothing."""
    spacing, count = header.get("ImagerPixelSpacing"), counted(finding)
    if not spacing or count is None or count < GROUP or finding.mask is None:
        return False
    pixels = finding.mask.pixels
    extents = (np.ptp(np.flatnonzero(pixels.any(axis=1 - axis))) + 1 for axis in (0, 1))
    reach_mm = max(float(one) * float(mm) for one, mm in zip(extents, spacing, strict=True))
    return reach_mm <= GROUP_MM
