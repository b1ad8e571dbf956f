"""What the machine can do, as far as a training run must know; nothing heavy is imported to ask."""

import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from typing import Literal

from genai import extras


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine. `gib` is the memory of one GPU, or of the machine; None where nobody knows it."""

    kind: Literal["cpu", "gpu"]
    name: str
    devices: int
    cores: int
    gib: float | None
    bf16: bool
    bitsandbytes: bool
    varlen_attention: bool
    trl: bool


def look() -> Hardware:
    """Look at this machine. Asking for a GPU loads torch where it is installed.

    Raises:
        MissingExtra: torch is not installed.
    """
    trl = _has("trl") and _has("datasets")
    torch = extras.load("torch", "finetune")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not torch.cuda.is_available():
        return Hardware("cpu", cpu_name(), 1, cores or 1, memory(), False, False, False, trl)
    properties = torch.cuda.get_device_properties(0)
    return Hardware(
        kind="gpu",
        name=str(properties.name),
        devices=int(torch.cuda.device_count()),
        cores=cores or 1,
        gib=properties.total_memory / 2**30,
        bf16=bool(torch.cuda.is_bf16_supported()),
        bitsandbytes=_has("bitsandbytes"),
        varlen_attention=_has("flash_attn") or _has("flash_attn_interface"),
        trl=trl,
    )


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def memory() -> float | None:
    """Give the machine's memory in GiB; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def cpu_name() -> str:
    """Give the name of the processor as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def costly(hardware: Hardware, precision: str, checkpointing: bool | str) -> list[str]:
    """Name what was forced on a CPU and costs time there, by what a step took when measured."""
    found = []
    if hardware.kind == "cpu" and precision == "bf16":
        found.append(
            "`training.precision: bf16` on a CPU: without instructions for it a step took 7.8 times"
            " as long; leave it `auto`"
        )
    if hardware.kind == "cpu" and checkpointing is True:
        found.append(
            "`training.activation_checkpointing: true` on a CPU: a step took 1.4 times as long;"
            " leave it `auto`"
        )
    return found


def peak_gib() -> float | None:
    """Give the most memory that this process held, of its GPU or its own; None where unknown."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return float(torch.cuda.max_memory_reserved()) / 2**30
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
