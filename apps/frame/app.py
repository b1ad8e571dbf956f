"""The app that `genai app` starts: the chat and every file of `pages/`, by their titles.

It has a folder of its own, for beside a folder `pages` Streamlit names pages after their files.
"""

import sys
from pathlib import Path

import streamlit as st

APPS = Path(__file__).parent.parent
TITLES = {"business": "Business case", "monitor": "Monitoring"}


def main() -> None:
    """Draw the page whose name is in the address: the chat without one."""
    if str(APPS) not in sys.path:
        sys.path.insert(0, str(APPS))  # what the pages share lies there
    found = [st.Page(APPS / "chat.py", title="Chat", default=True)]
    for path in sorted((APPS / "pages").glob("*.py")):
        title = TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
        found.append(st.Page(path, title=title))
    st.navigation(found).run()


main()
