"""Whoever renames a function that a failpoint stands at renames it there as well."""

from functools import reduce
from importlib import import_module
from typing import Any

import pytest
from failpoints import POINTS, Point


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_a_failpoint_stands_at_a_function(point: Point) -> None:
    home, _, qualified = point.where.partition(":")
    found: Any = reduce(getattr, qualified.split("."), import_module(home))
    assert callable(found), f"tests/servers/failpoints.py: {point.where}"
