"""The two documents of a conversation."""

from __future__ import annotations

import orjson

from brightrun.domain.enrichment import enrich, final_document
from tests.unit.domain.material import TALK, record


def test_the_enriched_document_has_one_pair_for_each_assistant_turn() -> None:
    """Each assistant turn is a training pair with its history, the question in one place only, and an id of its own."""
    document = enrich(record())
    pairs = document["training_pairs"]
    assert [pair["target_response"] for pair in pairs] == [TALK[1], TALK[3]]
    assert [pair["current_user_input"] for pair in pairs] == [TALK[0], TALK[2]]
    history = [turn["content"] for turn in pairs[1]["conversation_history"]]
    assert history == [TALK[0], TALK[1]]
    assert len({pair["id"] for pair in pairs}) == 2


def test_both_documents_survive_a_round_trip_through_json() -> None:
    """What is written can be read again field by field: no object turned to text, no parameter lost."""
    made = record()
    for document in (final_document(made), enrich(made)):
        assert orjson.loads(orjson.dumps(document)) == document
        assert document["input_parameters"]["variables"] == {"scenario": "Renew three books at the library."}
        assert document["conversation_id"] == made.key


def test_documents_say_who_wrote_them() -> None:
    """A demo's document says that it is one, wherever it goes."""
    assert enrich(record())["dataset_metadata"]["conversation_source"] == "demo"
    assert final_document(record())["provenance"]["writer"] == "demo"
