import pytest

from taxonomy import concepts
from taxonomy.choose import Chosen
from taxonomy.concepts import Concept
from worker.captioners.mentions import CLAIMED, NARROWEST, Selector


def concept(label: str, parent: str | None = None, facet: str = "object", grammar: str = "count", **more) -> Concept:  # type: ignore[no-untyped-def]
    return Concept(id=label, label=label, parent=parent, facet=facet, grammar=grammar, **more)


FILLER = [concept(f"filler {n}", "filler") for n in range(200)]
VOCABULARY = concepts.build(
    [
        concept("filler"),
        *FILLER,
        concept("animal", facet="animal"),
        concept("mammal", "animal", "animal"),
        concept("sheep", "mammal", "animal"),
        concept("ram", "sheep", "animal"),
        concept("ewe", "sheep", "animal"),
        concept("vehicle", facet="vehicle"),
        concept("motor vehicle", "vehicle", "vehicle"),
        concept("bus", "motor vehicle", "vehicle"),
        concept("school bus", "bus", "vehicle"),
        concept("food", facet="food", grammar="mass"),
        concept("pizza", "food", "food"),
        concept("furniture", grammar="mass"),
        concept("bed", "furniture"),
        concept("bunk bed", "bed"),
        concept("home appliance", plural="home appliances"),
        concept("stove", "home appliance"),
        concept("kitchenware", grammar="mass"),
        concept("plate", "kitchenware"),
        concept("clothing", facet="clothing", grammar="mass"),
        concept("suit", "clothing", "clothing"),
        concept("indoors", facet="place", grammar="mass"),
        concept("room", "indoors", "place"),
        concept("bedroom", "room", "place"),
        concept("outdoors", facet="place", grammar="mass"),
        concept("road", "outdoors", "place"),
    ],
    implied={"road": ("motor vehicle",), "bedroom": ("bed",), "indoors": ("furniture",), "outdoors": ("vehicle",)},
    contrary=[("indoors", "outdoors")],
)
SELECTOR = Selector(VOCABULARY)


def said(raw: float = 0.3, **evidence: float) -> list[str]:
    """What is mentioned where there is so much evidence; `_` stands for a space."""
    keywords = []
    for name, value in evidence.items():
        position = VOCABULARY.index[name.replace("_", " ")]
        score = value * SELECTOR._information[position]
        keywords.append(Chosen(VOCABULARY.concepts[position], position, score, raw, "vocabulary"))
    keywords.sort(key=lambda keyword: -keyword.score)
    return [mention.text for mention in SELECTOR.select(keywords)]


def test_evidence_decides_rather_than_the_score_that_favours_narrow_words() -> None:
    assert said(vehicle=0.6, bus=CLAIMED - 0.02) == ["vehicle"]
    assert said(vehicle=0.6, bus=CLAIMED + 0.02) == ["bus"]
    assert said(vehicle=CLAIMED - 0.02, bus=0.2) == []


def test_the_narrowest_of_all_need_more() -> None:
    assert said(animal=0.6, sheep=0.45, ram=NARROWEST - 0.05) == ["sheep"]
    assert said(animal=0.6, sheep=0.55, ram=NARROWEST + 0.02) == ["ram"]


def test_animals_in_general_need_more_than_vehicles_in_general() -> None:
    assert said(animal=0.3) == []
    assert said(vehicle=0.3) == ["vehicle"]


def test_words_of_classification_give_way_to_wider_ones() -> None:
    assert said(mammal=0.5) == ["animal"]
    assert said(motor_vehicle=0.5, vehicle=0.5) == ["vehicle"]
    assert said(clothing=0.5) == ["clothing"]
    assert said(clothing=0.5, outdoors=0.4) == ["outdoors"]


def test_a_place_that_only_the_things_in_it_speak_for_is_not_said_but_for_rooms() -> None:
    assert said(bus=0.5, road=0.6, vehicle=0.7) == ["bus"]
    assert said(bus=0.3, road=0.9) == ["road", "bus"]
    assert said(bed=0.3, bedroom=0.32) == ["bed", "bedroom"]


def test_indoors_and_outdoors_come_last_and_have_to_be_seen() -> None:
    assert said(bus=0.5, outdoors=0.9) == ["bus", "outdoors"]
    assert said(bus=0.5, outdoors=0.9, raw=0.01) == ["bus"]
    assert said(outdoors=0.2) == []


def test_household_goods_need_little_where_nothing_else_is_known() -> None:
    assert said(indoors=0.5, home_appliance=0.15) == ["home appliances", "indoors"]
    assert said(indoors=0.5, home_appliance=0.05) == ["indoors"]
    assert said(food=0.5, kitchenware=0.07, furniture=0.2) == ["food", "kitchenware"]
    assert said(bus=0.5, kitchenware=0.2) == ["bus"]


def test_what_a_policy_withholds_is_not_said_instead() -> None:
    position = VOCABULARY.index["motor vehicle"]
    keyword = Chosen(VOCABULARY.concepts[position], position, 0.9, 0.3, "vocabulary")
    withheld = Selector(VOCABULARY, {VOCABULARY.index["vehicle"]})
    assert [mention.text for mention in withheld.select([keyword])] == ["motor vehicle"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_word_list_is_taken_as_it_is(count: int) -> None:
    words = concepts.literal(["mammal", "clothing"][:count])
    keywords = [Chosen(each, n, 0.01, 0.01, "vocabulary") for n, each in enumerate(words.concepts)]
    assert len(Selector(words).select(keywords)) == count
