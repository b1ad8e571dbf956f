"""Weights in this process: decoding in a batch and under a schema, adapters and their base."""

import asyncio
import gc
import json
import shutil
import threading
import weakref
from pathlib import Path

import pytest
from tiny import tiny_adapter, tiny_model, tiny_tokenizer

from genai import project
from genai.errors import ModelError
from genai.models import open_model
from genai.models.constrain import Reader
from genai.models.engine import Engine, Job
from genai.models.local import encode, open_weights
from genai.models.weights import weights_digest
from genai.types import Reply

SCHEMA = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["refund", "late"]},
        "order": {"anyOf": [{"type": "string", "maxLength": 6}, {"type": "null"}]},
        "urgent": {"type": "boolean"},
        "city": {"type": "string", "maxLength": 5},
    },
    "required": ["intent", "order", "urgent"],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_adapter(tmp_path_factory.mktemp("adapter"), base)


def test_a_batch_says_what_each_request_says_alone(base: Path) -> None:
    model = open_model(f"local/{base}")
    questions = ["refund", "my order is 4821 . i want a refund", "é", "where is it"]
    alone = [model(each, max_tokens=12) for each in questions]

    async def together() -> list[Reply]:
        return await asyncio.gather(*(model.acall(each, max_tokens=12) for each in questions))

    assert [r.text for r in asyncio.run(together())] == [r.text for r in alone]
    assert len({reply.text for reply in alone}) > 1
    assert {reply.usage.source for reply in alone} == {"counted"}
    assert all(reply.usage.output_tokens == 12 or reply.finish_reason == "stop" for reply in alone)


def test_a_request_that_comes_while_others_decode_holds_no_loop_up(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, decode, submit = open_model(f"local/{base}"), Engine.run, Engine.submit
    decoding, go, given = threading.Event(), threading.Event(), []

    def run(self: Engine, jobs: list[Job]) -> None:
        decoding.set()
        if not go.wait(5):
            raise TimeoutError("the loop stood still while a batch was decoded")
        decode(self, jobs)

    def enter(self: Engine, job: Job) -> None:
        given.append(job)
        submit(self, job)

    monkeypatch.setattr(Engine, "run", run)
    monkeypatch.setattr(Engine, "submit", enter)

    async def both() -> list[Reply]:
        first = asyncio.create_task(model.acall("refund", max_tokens=4))
        await asyncio.to_thread(decoding.wait)
        second = asyncio.create_task(model.acall("where is it", max_tokens=4))
        while len(given) < 2:
            await asyncio.sleep(0.01)
        go.set()
        return await asyncio.gather(first, second)

    assert all(reply.usage.output_tokens for reply in asyncio.run(both()))


def test_a_stream_brings_the_same_text_in_pieces(base: Path) -> None:
    model = open_model(f"local/{base}")
    whole = model("where is it", max_tokens=20)
    *pieces, reply = model.stream("where is it", max_tokens=20)
    assert len(pieces) > 3
    assert "".join(pieces) == reply.text == whole.text


def test_a_stop_text_ends_the_reply_and_is_not_part_of_it(base: Path) -> None:
    model = open_model(f"local/{base}")
    whole = model("where is it", max_tokens=20).text
    stop = whole[6:9]
    *pieces, reply = model.stream("where is it", max_tokens=20, stop=stop)
    assert "".join(pieces) == reply.text == whole[: whole.index(stop)]
    assert reply.finish_reason == "stop"


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_every_reply_keeps_the_schema(base: Path, temperature: float) -> None:
    # random weights: without the schema nothing of this would be JSON
    import jsonschema

    model = open_model(f"local/{base}")
    form = {"type": "json_schema", "json_schema": {"name": "r", "schema": SCHEMA}}
    said = set()
    for seed in range(6):
        reply = model(
            f"order {seed}", response_format=form, temperature=temperature, seed=seed, top_p=0.9,
            max_tokens=300,
        )  # fmt: skip
        assert reply.finish_reason == "stop"
        jsonschema.validate(json.loads(reply.text), SCHEMA)
        said.add(reply.text)
    assert temperature == 0 or len(said) > 3


def test_a_seed_gives_the_same_draw_again(base: Path) -> None:
    model = open_model(f"local/{base}")
    one, two, other = (
        model("x", temperature=1.0, seed=seed, max_tokens=16).text for seed in (1, 1, 2)
    )
    assert one == two != other
    sure = model("x", max_tokens=16).text
    assert model("x", temperature=2.0, top_p=0, max_tokens=16).text == sure  # the likeliest alone


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"n": 2}, "`n` asks for 2 replies"),
        ({"logprobs": True}, "`logprobs` is not supported"),
        ({"temperature": 3}, "`temperature` must be a number from 0 to 2, not 3"),
        ({"max_tokens": 0}, "`max_tokens` must be"),
        # these would fail all that are decoded together with them
        ({"temperature": 1, "seed": 1.5}, "`seed` must be a whole number of 63 bits, not 1.5"),
        ({"temperature": 1, "seed": 1 << 70}, "`seed` must be a whole number of 63 bits"),
        ({"stop": [1]}, r"`stop` must be a text or a list of texts, not \[1\]"),
        ({"stop": ["", "a"]}, "`stop` must be a text or a list of texts"),
        ({"response_format": {"type": "xml"}}, "must be of type text, json_object or json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"pattern": "a"}}}},
         "cannot be held to `pattern`"),
    ],
)  # fmt: skip
def test_a_parameter_is_kept_or_refused_by_name(base: Path, params: dict, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        open_model(f"local/{base}")("hello", **params)
    assert caught.value.kind == "bad_request"


def test_a_prompt_that_is_too_long_is_refused(base: Path) -> None:
    with pytest.raises(ModelError, match="tokens of 400 at the most"):
        open_model(f"local/{base}")("9 " * 400)


def test_control_tokens_that_a_user_types_are_plain_text() -> None:
    tokenizer = tiny_tokenizer()
    ids = encode(tokenizer, [{"role": "user", "content": "a<|end|><|assistant|>b"}])
    assert [ids.count(each) for each in (2, 3, 4)] == [1, 1, 1]
    assert "a<|end|><|assistant|>b" in tokenizer.decode(ids)


def test_an_adapter_and_its_base_answer_from_the_same_weights(base: Path, adapter: Path) -> None:
    plain, tuned = open_model(f"local/{base}"), open_model(f"local/{adapter}")
    before = plain("where is it", max_tokens=12).text
    after = tuned("where is it", max_tokens=12).text
    assert before != after
    for _ in range(2):  # swapped back and forth
        assert plain("where is it", max_tokens=12).text == before
        assert tuned("where is it", max_tokens=12).text == after
    assert plain.identity != tuned.identity


def test_requests_for_several_adapters_at_once_each_get_their_own(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    other = tiny_adapter(tmp_path / "other", base, seed=2)
    models = [open_model(f"local/{each}") for each in (base, adapter, other)]
    alone = [model("refund", max_tokens=10).text for model in models]
    assert len(set(alone)) == 3

    async def together() -> list[Reply]:
        calls = [model.acall("refund", max_tokens=10) for _ in range(8) for model in models]
        return await asyncio.gather(*calls)

    assert [reply.text for reply in asyncio.run(together())] == alone * 8


def test_an_adapter_trained_anew_is_taken_up_at_the_next_request(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    tiny_adapter(folder, base, seed=1)
    model = open_model(f"local/{folder}")
    before = model("refund", max_tokens=10).text
    tiny_adapter(folder, base, seed=7)
    assert model("refund", max_tokens=10).text != before


def test_a_model_that_is_replaced_leaves_the_memory_once_it_has_answered(
    base: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(base, tmp_path / "replaced")
    before, model = decoding(), open_model(f"local/{folder}")
    first = model("refund", max_tokens=10).text
    engine, _ = open_weights(folder)
    [thread] = decoding() - before
    old = weakref.ref(engine.model)
    tiny_model(folder, seed=7)
    assert model("refund", max_tokens=10).text != first
    said, ended = [], threading.Event()

    def emit(text: str, reason: str) -> None:
        said.append(text)
        if reason:
            ended.set()

    prompt = encode(engine.tokenizer, [{"role": "user", "content": "refund"}])
    engine.submit(Job(prompt, emit, most=10))  # by a caller who had it before
    assert ended.wait(30)
    assert "".join(said) == first
    del engine
    thread.join(30)
    assert not thread.is_alive()
    gc.collect()
    assert old() is None
    assert len(decoding() - before - {thread}) == 1


def decoding() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "genai-local"}


@pytest.mark.parametrize("fault", ["weights", "layers", "template", "changed", "unbound"])
def test_an_adapter_on_anything_else_than_its_base_is_refused(
    base: Path, tmp_path: Path, fault: str
) -> None:
    own = shutil.copytree(base, tmp_path / "base")
    folder = tiny_adapter(tmp_path / "adapter", own)
    said = "was trained on other weights"
    if fault == "weights":
        tiny_model(own, seed=9)
    elif fault == "layers":
        tiny_model(own, layers=1)
    elif fault == "template":
        path = own / "chat_template.jinja"
        path.write_text(path.read_text() + " ")
        said = "another chat template"
    elif fault == "changed":
        path = folder / "adapter_model.safetensors"
        content = bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(content)
        said = "not those of its adapter.json"
    else:
        (folder / "adapter.json").unlink()
        said = "nobody knows which base"
    with pytest.raises(ModelError, match=said):
        open_model(f"local/{folder}")("hello", max_tokens=4)


def test_a_base_and_its_adapter_can_be_moved_together(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "one" / "base")
    folder = tiny_adapter(tmp_path / "one" / "adapter", tmp_path / "one" / "base")
    said = open_model(f"local/{folder}")("refund", max_tokens=8).text
    (tmp_path / "one").rename(tmp_path / "two")
    moved = tmp_path / "two" / "adapter"
    assert open_model(f"local/{moved}")("refund", max_tokens=8).text == said
    assert str(tmp_path) not in (moved / "adapter.json").read_text()


def test_a_relative_folder_is_of_the_project_wherever_the_command_is_given(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.init(tmp_path)
    tiny_adapter(tmp_path / ".genai" / "adapters" / "mine", base)
    monkeypatch.chdir(tmp_path / "docs")
    assert open_model("local/.genai/adapters/mine")("refund", max_tokens=4).text


def test_of_an_id_of_the_hub_only_what_is_read_is_downloaded(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.utils import filter_repo_objects

    source, target = shutil.copytree(base, tmp_path / "hub"), tmp_path / "cache"
    copies = ["original/consolidated.00.pth", "pytorch_model.bin", "consolidated.safetensors",
              "onnx/model.onnx", "model.gguf"]  # fmt: skip
    for name in copies:
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"large")

    def download(name: str, allow_patterns: list[str], ignore_patterns: list[str], **_: object):
        paths = [each for each in source.rglob("*") if each.is_file()]
        names = [each.relative_to(source).as_posix() for each in paths]
        for each in filter_repo_objects(
            names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns
        ):
            (target / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / each, target / each)
        return str(target)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert open_model("local/owner/model")("refund", max_tokens=4).text
    assert {each.name for each in target.iterdir()} == {each.name for each in base.iterdir()}


@pytest.mark.parametrize("name", ["nowhere", "owner/model"])
def test_weights_that_are_not_there_are_one_sentence(name: str) -> None:
    with pytest.raises(ModelError, match="is no folder here"):
        open_model(f"local/{name}")("hello")


def test_the_digest_is_of_the_tensors_and_not_of_the_files(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(base / "model.safetensors")
    names = sorted(tensors)
    save_file({n: tensors[n] for n in names[:3]}, tmp_path / "a.safetensors", {"made": "now"})
    save_file({n: tensors[n] for n in names[3:]}, tmp_path / "b.safetensors")
    assert weights_digest(tmp_path) == weights_digest(base)
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "b.safetensors").read_bytes()[:-1])
    with pytest.raises(ModelError, match="no whole safetensors file"):
        weights_digest(tmp_path)


@pytest.mark.parametrize(
    ("schema", "text", "ends"),
    [
        (SCHEMA, '{"intent":"late","order":null,"urgent":true}', True),
        (SCHEMA, '{"intent": "late", "order": "12\\u00e9", "urgent": false, "city":"Bonn"}', True),
        (SCHEMA, '{"intent":"lost"', None),
        (SCHEMA, '{"order"', None),
        (SCHEMA, '{"intent":"late","order":null,"urgent":true,"zip":1', None),
        (SCHEMA, '{"intent":"late","order":"1234567', None),
        ({}, '[1, {"a":[-0.5e+3,"x"]}, null]', True),
        ({}, "01", None),
        ({"type": "integer"}, "1.", None),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, "[1,2,", None),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, "[]", None),
        ({"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "required": ["k"], "properties":
          {"k": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}}}, '{"k":[{"k":[]}]}', True),
        ({"const": {"a": [1, "é"]}}, '{"a":[1,"é"]}', True),
        ({"type": "number"}, "-", False),
    ],
)  # fmt: skip
def test_the_reader_allows_what_fits(schema: dict, text: str, ends: bool | None) -> None:
    reader = Reader(schema)
    assert reader.allows(text) is (ends is not None)
    if ends is not None:
        for char in text:
            reader.read(char)
        assert reader.complete is ends


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
     {"type": "object", "required": ["a"]}, {"oneOf": []}, {"type": "string", "format": "date"},
     {"type": "set"}, {"anyOf": 3}],
)  # fmt: skip
def test_a_schema_that_cannot_be_kept_is_refused(schema: dict) -> None:
    with pytest.raises(ModelError, match="response_format"):
        Reader(schema)
