"""Templates are strangers' code: kept in a sandbox, and cut short."""

import time

import pytest

from tunesmith.chat import template
from tunesmith.chat.template import PLAIN, compile_template, render_text
from tunesmith.core.errors import DataError, MachineError
from tunesmith.core.rows import Message

HELLO = (Message("user", "hello"),)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def rendered(source: str, messages: tuple[Message, ...] = HELLO) -> str:
    return render_text(source, messages, generation=True, tokens=TOKENS)


def test_the_plain_template() -> None:
    messages = (Message("system", "Be brief."), Message("user", "hi"), Message("assistant", "yes"))
    assert rendered(PLAIN, messages) == "<s>System:\nBe brief.\nUser:\nhi\nAssistant:\nyes</s>\nAssistant:\n"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__ }}",
        "{{ messages[0].__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ raise_exception.__globals__ }}",
        "{{ (messages | map(attribute='__class__') | list)[0].__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ '%s' | format(raise_exception.__globals__) }}",
        "{{ '{0.__class__.__mro__}'.format(messages) }}",
    ],
)
def test_nothing_outside_is_reached(source: str) -> None:
    """Jinja's sandbox refuses; where it only answers `undefined`, nothing is written."""
    try:
        text = rendered(source)
    except DataError:
        return
    assert text == ""


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
        "{% set long = 'ab' * 90000 %}{% for a in long %}{% for b in long %}{% endfor %}{% endfor %}",
        "{% macro again() %}{% for i in range(99999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}{% endmacro %}{{ again() }}",
    ],
)
def test_endless_loops_are_cut(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "MOST_SECONDS", 0.1)
    started = time.thread_time()
    with pytest.raises(DataError, match="took over"):
        rendered(source)
    assert time.thread_time() - started < 3


def test_huge_output_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "MOST_CHARACTERS", 1000)
    with pytest.raises(DataError, match="wrote over 1,000 characters"):
        rendered("{% for i in range(9999) %}word {% endfor %}")


@pytest.mark.parametrize("source", ["{{ 'a' * 10 ** 10 }}", "{{ [0] * 999999999 }}", "{{ 9 ** 9 ** 9 ** 9 }}"])
def test_huge_products_are_refused(source: str) -> None:
    with pytest.raises(DataError, match="too large"):
        rendered(source)


def test_ordinary_arithmetic_and_loops_work() -> None:
    source = (
        "{% for m in messages %}{{ loop.index * 2 }}{{ '-' * 3 }}{{ 2 ** 3 }}{% if loop.last %}.{% endif %}{{ loop.length }}{% endfor %}"
    )
    assert rendered(source, (*HELLO, *HELLO)) == "2---824---8.2"


@pytest.mark.parametrize(
    "source", ["{{ raise_exception('Roles must alternate.') }}", "{{ 'a' + none }}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"]
)
def test_what_a_template_raises_is_one_sentence(source: str) -> None:
    with pytest.raises(DataError, match="roles user: "):
        rendered(source)


def test_what_can_not_be_compiled_is_the_bases_fault() -> None:
    with pytest.raises(MachineError, match="can't be compiled"):
        compile_template("{% for %}")


def test_what_published_templates_use() -> None:
    assert rendered("{% generation %}{{ messages[0]['content'] }}{% endgeneration %}") == "hello"
    assert rendered("{% if tools is not none %}tools{% endif %}{% if documents is none %}-{% endif %}") == "-"
    assert rendered("{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}x{% endfor %}") == ""
    assert rendered("{{ {'a': 'é'} | tojson }}") == '{"a": "é"}'
    assert rendered("{{ bos_token }}{{ pad_token }}") == "<s>"


def test_today_is_the_same_day_in_training_and_serving(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered("{{ strftime_now('%d %b %Y') }}") == "26 Jul 2024"
