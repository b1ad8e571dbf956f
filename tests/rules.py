"""A model by rules, for the loopback server: it calls tools and fills schemas from the question."""

import json
import re
from typing import Any


def answer(body: dict[str, Any]) -> str | dict[str, Any]:
    """Answer a chat request: the schema filled, a tool called, or a plain sentence."""
    asked = _text(next(m for m in reversed(body["messages"]) if m["role"] == "user"))
    form, tools, choice = (body.get(k) for k in ("response_format", "tools", "tool_choice"))
    if form and form["type"] == "json_schema":
        return json.dumps(fill(form["json_schema"]["schema"], asked))
    if form:
        return json.dumps(dict.fromkeys(re.findall(r"'(\w+)'", asked), "Meow."))
    if not tools or choice == "none" or body["messages"][-1]["role"] != "user":
        return "Hello from the rules."
    functions = {tool["function"]["name"]: tool["function"] for tool in tools}
    name = choice["function"]["name"] if isinstance(choice, dict) else next(iter(functions))
    arguments = json.dumps(fill(functions[name]["parameters"], asked))
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"content": None, "tool_calls": [call]}


def fill(schema: dict[str, Any], asked: str) -> Any:
    """Give a value that fits a schema: the question's first number, or what it quotes."""
    if "anyOf" in schema:
        return fill(schema["anyOf"][0], asked)
    if schema.get("type") == "integer":
        return int((re.findall(r"\d+", asked) or ["1"])[0])
    if schema.get("type") == "object":
        return {name: fill(each, asked) for name, each in schema.get("properties", {}).items()}
    return (re.findall(r"'([^']+)'", asked) or [asked])[0]


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(piece.get("text", "") for piece in content)
