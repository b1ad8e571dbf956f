"""Experiments in MLflow, off by default: `log` a run, `mirror` a version, `deliver` what waits.

Nothing here waits for MLflow. A record goes into a queue on disk, and a process of its own takes it
to the store: its import takes seconds, a new store many more, and a server may be away. What could
not be delivered stays in the queue.
"""

from genai.tracking.queue import (
    Record,
    Status,
    Store,
    Version,
    Waiting,
    deliver,
    log,
    mirror,
    require,
    view,
    waiting,
)

__all__ = [
    "Record", "Status", "Store", "Version", "Waiting", "deliver", "log", "mirror", "require",
    "view", "waiting",
]  # fmt: skip
