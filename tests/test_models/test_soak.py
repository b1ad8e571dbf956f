"""A short soak of mixed faults: every row stored, memory flat; the hour is in `benchmarks/`."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_a_quarter_of_a_minute_of_mixed_faults() -> None:
    line = [sys.executable, ROOT / "benchmarks" / "soak.py", "--minutes", "0.25"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["issued"] == found["stored"] == found["rows"] >= found["requests at the server"]
    assert found["calls"] == 3000
    assert found["answered"] > 0.8 * found["calls"]
    assert found["timeout"] > 0
    assert found["over_budget"] > 0
    assert found["dollars"] == found["dollars booked"]
    assert found["rows without a price"] == found["budgets passed"] == 0
