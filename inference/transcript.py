"""Findings as JSON: how they travel from the reading of a study to its report.

Masks are packed bits in base 64. Floats keep every digit, so what is reported is what was seen.

Format 1 did not say what was looked for, since every system looked for both kinds, nor who read.
Format 2 did not say where the nipple lies. Format 3 kept no score as it was before calibration.
"""

import base64
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from inference.findings import (
    Box,
    Correction,
    ExamFindings,
    Finding,
    Kind,
    Mask,
    Member,
    ViewFindings,
)
from inference.mammogram import Projection, Side

FORMAT = 4
WITH_NIPPLES = 3


def pack(exam: ExamFindings) -> bytes:
    """Write findings as JSON."""
    content = {
        "format": FORMAT,
        "system": exam.system,
        "version": exam.version,
        "digest": exam.digest,
        "operating_point": exam.operating_point,
        "marks": list(exam.marks),
        "cancer_score": exam.cancer_score,
        "uncertainty": exam.uncertainty,
        "raw": exam.raw,
        "card_score": exam.card_score,
        "called_from": exam.called_from,
        "correction": None if exam.correction is None else asdict(exam.correction),
        "members": [asdict(member) for member in exam.members],
        "views": [
            {
                "sop_instance_uid": view.sop_instance_uid,
                "side": view.side,
                "projection": view.projection,
                "cancer_score": view.cancer_score,
                "uncertainty": view.uncertainty,
                "nipple": view.nipple,
                "raw": view.raw,
                "findings": [_packed(finding) for finding in view.findings],
            }
            for view in exam.views
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False).encode()


def _packed(finding: Finding) -> dict[str, Any]:
    box, mask = finding.box, finding.mask
    return {
        "kind": finding.kind,
        "box": [box.left, box.top, box.right, box.bottom],
        "score": finding.score,
        "cancer_score": finding.cancer_score,
        "systems": list(finding.systems),
        "scores": list(finding.scores),
        "uncertainty": finding.uncertainty,
        "raw": finding.raw,
        "mask": None
        if mask is None
        else {
            "left": mask.left,
            "top": mask.top,
            "shape": list(mask.pixels.shape),
            "bits": base64.b64encode(np.packbits(mask.pixels).tobytes()).decode(),
        },
    }


def unpack(content: bytes) -> ExamFindings:
    """Read findings back."""
    told = json.loads(content)
    if told["format"] < FORMAT:
        _completed(told)
    elif told["format"] != FORMAT:
        raise ValueError(f"findings of format {told['format']} are not understood")
    return ExamFindings(
        system=told["system"],
        version=told["version"],
        digest=told["digest"],
        operating_point=told["operating_point"],
        marks=_kinds(told["marks"]),
        cancer_score=told["cancer_score"],
        uncertainty=told["uncertainty"],
        raw=told["raw"],
        card_score=told["card_score"],
        called_from=told["called_from"],
        correction=None if told["correction"] is None else Correction(**told["correction"]),
        members=tuple(
            Member(**{**member, "marks": _kinds(member["marks"])}) for member in told["members"]
        ),
        views=tuple(
            ViewFindings(
                sop_instance_uid=view["sop_instance_uid"],
                side=Side(view["side"]),
                projection=Projection(view["projection"]),
                cancer_score=view["cancer_score"],
                uncertainty=view["uncertainty"],
                nipple=tuple(view["nipple"]) if view["nipple"] else None,
                raw=view["raw"],
                findings=tuple(_unpacked(finding) for finding in view["findings"]),
            )
            for view in told["views"]
        ),
    )


def _completed(told: dict[str, Any]) -> None:
    """Say in findings of an older format what it left unsaid."""
    told |= {"raw": None, "card_score": None, "called_from": None, "correction": None}
    for view in told["views"]:
        view["raw"] = None
        for finding in view["findings"]:
            finding["raw"] = None
    if told["format"] >= WITH_NIPPLES:
        return
    for view in told["views"]:
        view["nipple"] = None
    if told["format"] > 1:
        return
    told |= {"marks": list(Kind), "members": [], "uncertainty": None}
    for view in told["views"]:
        view["uncertainty"] = None
        for finding in view["findings"]:
            finding |= {"scores": [], "uncertainty": None}


def _unpacked(told: dict[str, Any]) -> Finding:
    mask = told["mask"]
    return Finding(
        kind=Kind(told["kind"]),
        box=Box(*told["box"]),
        score=told["score"],
        cancer_score=told["cancer_score"],
        mask=None if mask is None else Mask(mask["left"], mask["top"], _bits(mask)),
        systems=tuple(told["systems"]),
        scores=tuple(told["scores"]),
        uncertainty=told["uncertainty"],
        raw=told["raw"],
    )


def _kinds(told: list[str]) -> tuple[Kind, ...]:
    return tuple(Kind(kind) for kind in told)


def _bits(mask: dict[str, Any]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    rows, columns = mask["shape"]
    packed = np.frombuffer(base64.b64decode(mask["bits"]), dtype=np.uint8)
    return np.unpackbits(packed, count=rows * columns).reshape(rows, columns).astype(np.bool_)
