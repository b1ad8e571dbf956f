"""Put a project's parts together: what `genai.load()` and the other openers of the face give.

Everything here reads `configs/` and passes settings down; no lower room reads them itself. The face
`genai` names the file of each opener, so that a short command loads no more than it uses.
"""
