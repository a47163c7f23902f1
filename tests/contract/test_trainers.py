"""The files as their real consumers take them: loaders, chat templates, and the vendors' own typed shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.chat import SPECIALS, TEMPLATES
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.dataset import DatasetOptions
from brightrun.domain.errors import TemplateFault
from brightrun.domain.formats import Format
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.preflight import Trainer, built_in, preflight
from tests.seed import Seed, seed_conversations

HARD = 'one\u2028two\x85three "four" 🙂 =1+1'


@pytest.fixture
def folder(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a release with corrections, rejections, a hard text and both splits."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hf" / "cache"))
    seeds = [Seed(number=n, status="rejected" if n % 10 == 9 else "approved") for n in range(60)]
    hard = [{"role": "user", "content": HARD}, {"role": "assistant", "content": HARD}]
    seed_conversations(dsn, [*seeds, Seed(number=61, system="", turns=hard)])
    app = open_app(Settings(home=tmp_path / "home", database_url=dsn, actor="ana"))
    try:
        for found in app.reviews.page(ConversationFilter(status=ConversationStatus.APPROVED), limit=100):
            if found["first_words"].endswith("5"):
                app.corrections.correct(found["id"], 2, "Corrected.", corrector="ana")
                now = app.reviews.read(found["id"])
                app.reviews.decide([Seen(now.id, now.row_version)], Decision.APPROVED, reviewer="ana")
        options = DatasetOptions(validation=0.2)
        dataset = app.datasets.freeze(ConversationFilter(), name="all", actor="ana", options=options)
        yield app.exports.write(dataset, Format.FOLDER, tmp_path / "out").files[0]
    finally:
        app.close()


def lines(folder: Path, name: Format) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / name.value).glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found += [json.loads(line) for line in file]
    assert found, name
    return found


@pytest.mark.slow
def test_the_real_datasets_library_loads_the_folder_and_every_file(folder: Path, tmp_path: Path) -> None:
    """Hugging Face's `datasets` finds each configuration with its splits by the card, and each file by itself."""
    import datasets

    counted = json.loads((folder / "manifest.json").read_text())
    for config in ("messages", "prompt_completion", "dpo", "kto"):
        loaded = datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        rows = {f"{config}/{split}.jsonl": part.num_rows for split, part in loaded.items()}
        assert rows == {f["path"]: f["rows"] for f in counted["files"] if f["path"].startswith(f"{config}/")}
    default = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    messages = default["train"][0]["messages"]
    assert set(messages[0]) == {"role", "content"}
    texts = [m["content"] for part in default.values() for row in part for m in row["messages"]]
    assert HARD in texts
    for entry in counted["files"]:
        suffix = Path(entry["path"]).suffix
        kind = {".jsonl": "json", ".ndjson": "json", ".parquet": "parquet", ".csv": "csv"}.get(suffix)
        if kind and entry["rows"]:
            one = datasets.load_dataset(
                kind, data_files=str(folder / entry["path"]), split="train", cache_dir=str(tmp_path / "cache")
            )
            assert one.num_rows >= entry["rows"], entry["path"]
    parquet = datasets.load_dataset(
        "parquet", data_dir=str(folder / "parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert parquet["train"].to_list() == default["train"].to_list()


@pytest.mark.parametrize("name", ["chatml", "llama", "mistral"])
def test_the_real_chat_template_trains_the_assistant_alone(folder: Path, name: str) -> None:
    """transformers renders our training templates, and masks exactly the text that preflight says is trained."""
    transformers = pytest.importorskip("transformers")
    tokenizer = _tokenizer(transformers, name)
    ours = built_in(name)
    for row in lines(folder, Format.MESSAGES)[:20]:
        text = tokenizer.apply_chat_template(row["messages"], tokenize=False)
        pieces = ours.render(row["messages"])
        assert "".join(piece.text for piece in pieces) == text
        made = tokenizer.apply_chat_template(
            row["messages"], return_dict=True, return_assistant_tokens_mask=True
        )
        chosen = [t for t, m in zip(made["input_ids"], made["assistant_masks"], strict=True) if m]
        assert tokenizer.decode(chosen) == "".join(piece.text for piece in pieces if piece.is_trained)


def _tokenizer(transformers: Any, name: str) -> Any:
    """A byte-level tokenizer made here: one token a byte, so that masks can be compared letter by letter."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = {letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw,
        clean_up_tokenization_spaces=False,
        **{k: v for k, v in SPECIALS[name].items() if v},
    )
    made.chat_template = TEMPLATES[name]
    return made


def test_a_template_without_a_system_role_refuses_rows_until_they_are_merged(
    dsn: str, tmp_path: Path
) -> None:
    """Preflight says that a Gemma-like template refuses system rows, and that merging them helps."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    app = open_app(Settings(home=tmp_path / "home", database_url=dsn, actor="ana"))
    try:
        dataset = app.datasets.freeze(ConversationFilter(), name="gemma", actor="ana")
        gemma = built_in("gemma")
        refused = preflight(app.datasets, dataset, gemma, max_length=2048)
        merged = preflight(app.datasets, dataset, gemma, max_length=2048, merge_system=True)
        short = preflight(app.datasets, dataset, built_in("chatml"), max_length=64)
    finally:
        app.close()
    trl = {verdict.trainer: verdict for verdict in refused.verdicts}[Trainer.TRL]
    assert (trl.accepted, trl.refused) == (0, 3)
    assert "System role" in refused.refusals[0]
    assert merged.verdicts[0].accepted == 3
    assert 0 < merged.trained_tokens < merged.tokens
    assert short.verdicts[0].untrained + short.verdicts[0].shortened == 3


def test_a_template_that_does_not_compile_is_named_by_its_line() -> None:
    """An uploaded template with a mistake, or one that reaches for the system, says so and renders nothing."""
    from brightrun.domain.chat import ChatTemplate

    with pytest.raises(TemplateFault, match="line 2"):
        ChatTemplate("{{ bos_token }}\n{% for %}")
    with pytest.raises(TemplateFault, match="refuses"):
        ChatTemplate("{{ messages.__class__.__mro__ }}").render([{"role": "user", "content": "a"}])


def test_openai_takes_every_row(folder: Path) -> None:
    """OpenAI's own typed messages accept each row; a wrong role would be refused."""
    types = pytest.importorskip("openai.types.chat")
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(types.ChatCompletionMessageParam)
    rows = lines(folder, Format.OPENAI)
    for row in rows:
        assert set(row) == {"messages"}
        for message in row["messages"]:
            adapter.validate_python({k: v for k, v in message.items() if k != "weight"})
            assert message.get("weight") == (1 if message["role"] == "assistant" else None)
    with pytest.raises(ValidationError):
        adapter.validate_python({"role": "human", "content": "x"})
    assert len(rows) >= 10


def test_bedrock_takes_every_row(folder: Path) -> None:
    """Each row is a valid Converse request by botocore's own model, user first and assistant last."""
    session = pytest.importorskip("botocore.session")
    from botocore.validate import ParamValidator

    shape = session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    for row in lines(folder, Format.BEDROCK):
        assert row["schemaVersion"] == "bedrock-conversation-2024"
        request = {k: v for k, v in row.items() if k != "schemaVersion"} | {"modelId": "any"}
        assert not ParamValidator().validate(request, shape).has_errors()
        assert (row["messages"][0]["role"], row["messages"][-1]["role"]) == ("user", "assistant")


def test_gemini_takes_every_row(folder: Path) -> None:
    """Each row holds Contents by google-genai's own model, with the roles it knows."""
    types = pytest.importorskip("google.genai.types")
    for row in lines(folder, Format.GEMINI):
        contents = [types.Content.model_validate(content) for content in row["contents"]]
        assert {content.role for content in contents} == {"user", "model"}
        if "systemInstruction" in row:
            types.Content.model_validate(row["systemInstruction"])


def test_the_shapes_of_one_row_say_the_same(folder: Path) -> None:
    """ShareGPT, Alpaca, LLaMA-Factory and the training pairs hold the very words of the messages."""
    messages = {row["id"]: row["messages"] for row in lines(folder, Format.MESSAGES)}
    for row in lines(folder, Format.SHAREGPT):
        assert [turn["value"] for turn in row["conversations"]] == [m["content"] for m in messages[row["id"]]]
    for row in lines(folder, Format.ALPACA):
        said = [text for pair in row["history"] for text in pair] + [row["instruction"], row["output"]]
        whole = ([row["system"]] if row["system"] else []) + said
        assert whole == [m["content"] for m in messages[row["id"]]]
    info = json.loads((folder / "llamafactory" / "dataset_info.json").read_text())
    assert all((folder / "llamafactory" / entry["file_name"]).is_file() for entry in info.values())
    document = json.loads((folder / "full" / "training.json").read_text(encoding="utf-8"))
    pairs = [pair for made in document["conversations"] for pair in made["training_pairs"]]
    assert len({pair["id"] for pair in pairs}) == len(pairs)
    assert document["training_file_metadata"]["total_training_pairs"] == len(pairs)
    for pair in pairs:
        history = [turn["content"] for turn in pair["conversation_history"]]
        assert pair["current_user_input"] not in history[-1:], "the question stands twice"
