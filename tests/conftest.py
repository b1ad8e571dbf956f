"""Every test runs without keys, and with its own working folder's state."""

import os

# a key in the developer's environment must not turn a test into a real call
for name in [key for key in os.environ if key.endswith("_API_KEY") or key.startswith("GENAI_")]:
    if name != "GENAI_SCREENSHOTS":
        del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"
