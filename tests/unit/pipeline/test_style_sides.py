"""Which prompts measure style, and which make rows: no prompt does both, whoever is asked and whenever."""

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.core.rows import Message
from tunesmith.data.settings.style import StyleGuide, StylePair
from tunesmith.pipeline.style import measures


def guide(prompt: str) -> StyleGuide:
    return StyleGuide(pairs=[StylePair(prompt=prompt, instead_of="No!", say="No.")])


GUIDE = guide("Where is my rake?")


def asked(text: str, *before: Message) -> tuple[Message, ...]:
    return (*before, Message("user", text))


def test_half_of_the_prompts_measure() -> None:
    assert 450 < sum(measures(asked(f"question {at}"), GUIDE) for at in range(1000)) < 550


@given(st.text(alphabet="abc é?", min_size=1))
def test_the_side_goes_by_what_the_user_says_alone(text: str) -> None:
    side = measures(asked(text), GUIDE)
    assert measures(asked(f"  {text.upper()}\n", Message("system", "Be kind.")), guide("Another one?")) is side


def test_prompts_of_the_guides_pairs_never_measure() -> None:
    for at in range(40):
        assert not measures(asked(f"where is  rake {at}?"), guide(f"Where is rake {at}?"))
