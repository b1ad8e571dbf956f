"""The improvement loop: what production shows is reviewed, and becomes cases and training pairs.

The ledger shows a call; its question waits in the queue; a person accepts, edits or rejects; it is
promoted; a later run passes it, and the changelog says what did that.
"""

from genai.loop.desk import Loop
from genai.loop.queue import Item, Queue
from genai.loop.settings import LoopSettings, load_loop

__all__ = ["Item", "Loop", "LoopSettings", "Queue", "load_loop"]
