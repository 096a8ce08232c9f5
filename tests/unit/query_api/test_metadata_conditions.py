"""What a row says under a key, asked by the index of pairs where the index knows it."""

from query_api.filters.metadata_conditions import says_one_of


def test_one_of_several_texts_is_asked_of_the_index() -> None:
    condition, parameters = says_one_of("tier", "r.metadata_texts['tier']", ["gold", "silver"], "r.")
    assert condition.startswith("hasAny(")
    assert "IN {said:Array(String)}" not in condition
    assert parameters["said_pairs"] == ["tier\x1fgold", "tier\x1fsilver"]


def test_what_the_index_does_not_know_is_looked_up_in_the_row() -> None:
    for key, texts in (("_user", ["u"]), ("tier", ["gold", ""])):
        condition, parameters = says_one_of(key, "r.value", texts, "r.")
        assert (condition, parameters) == ("r.value IN {said:Array(String)}", {"said": texts})


def test_pairs_that_may_look_like_others_are_looked_up_as_well() -> None:
    for key, text in (("a\x1fb", "c"), ("a", "b\x1fc")):
        condition, parameters = says_one_of(key, "r.value", [text], "r.")
        assert condition.startswith("hasAny(")
        assert condition.endswith(" AND r.value IN {said:Array(String)}")
        assert parameters["said_pairs"] == ["a\x1fb\x1fc"]
