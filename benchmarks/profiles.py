"""The profiles of `python -m benchmarks`: what else is measured on the same servers, in the same run."""

from argparse import Namespace
from collections.abc import Callable

from benchmarks import base, documents, matrix, operations, reclaimed, shapes, stream, workers
from benchmarks.report import Section
from outboxctl.drills.bench.rig import Rig

PROFILES: dict[str, Callable[[Rig, Namespace], Section]] = {
    "base": base.run,
    "documents": documents.run,
    "operations": operations.run,
    "reclaimed": reclaimed.run,
    "shapes": shapes.run,
    "stream": stream.run,
    "workers": workers.run,
    "matrix": matrix.run,
}
DEFAULT = [name for name in PROFILES if name != "matrix"]
