#  SPDX-License-Identifier: MIT
"""Fuzzing of all that reads texts of others: `make fuzz`.  engine.py runs it, targets.py says what must hold of what.

Made by hand, on the standard library alone: inputs are made as such texts are made, then spoiled, some blown up to the
size that readers let through.  It makes some ten thousand inputs in a second, where hypothesis makes hundreds.
"""
