#  SPDX-License-Identifier: MIT
"""What is raised inside of boundaries, as the machine or a mistake of this program would."""

from __future__ import annotations

import errno
import os

import pytest

ERRORS = [OSError(errno.EIO, os.strerror(errno.EIO)), ValueError("bad"), RecursionError(), MemoryError()]

each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
"""Runs a test once for each of ERRORS, as its argument `error`."""
