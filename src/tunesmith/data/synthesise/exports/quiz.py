"""Items as one quiz page that works without a network, and without scripts too.

Answers are hidden until asked for: a `<details>` each, which a keyboard opens. With scripts on, picking a choice tells right from wrong
and the score is counted. Nothing of a passage is ever in a script: all text is escaped HTML, and the page's own policy lets only its one
script and style run, by their hashes, and loads nothing from anywhere.
"""

import base64
import html
from collections.abc import Iterable, Iterator
from hashlib import sha256

from tunesmith.data.synthesise.items import Item

_STYLE = """
:root{color-scheme:light dark;--ground:#f6f5f1;--sheet:#fff;--ink:#1d2126;--soft:#5d6570;--line:#dcdad3;--accent:#2b5fa8;
--right:#1b7a43;--right-ground:#e4f3ea;--wrong:#b3261e;--wrong-ground:#fbe9e7}
@media(prefers-color-scheme:dark){:root{--ground:#14171b;--sheet:#1d2126;--ink:#e8e6e1;--soft:#a0a7b1;--line:#343a42;--accent:#8ab4f0;
--right:#6fd197;--right-ground:#16301f;--wrong:#f2a29b;--wrong-ground:#3a1c1a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:17px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;overflow-wrap:anywhere}
main,header>div{max-width:46rem;margin:0 auto;padding:0 1.1rem}
header{position:sticky;top:0;background:var(--ground);border-bottom:1px solid var(--line);z-index:1}
header>div{display:flex;gap:1rem;align-items:baseline;justify-content:space-between;padding-top:.7rem;padding-bottom:.7rem}
h1{font-size:1.15rem;margin:0}
#score{color:var(--soft);font-variant-numeric:tabular-nums;white-space:nowrap}
ol{list-style:none;margin:1.4rem 0 4rem;padding:0;display:grid;gap:1.1rem}
li{background:var(--sheet);border:1px solid var(--line);border-radius:12px;padding:1.1rem 1.25rem}
.kind{color:var(--soft);font-size:.82rem;margin:0 0 .3rem}
.ask{font-size:1.08rem;font-weight:600;margin:0 0 .8rem;white-space:pre-line}
.pick{display:grid;gap:.5rem;margin:0 0 .8rem}
button{font:inherit;text-align:left;color:inherit;background:none;border:1px solid var(--line);border-radius:8px;padding:.5rem .8rem;cursor:pointer}
button:hover:enabled{border-color:var(--accent)}
button:disabled{cursor:default;opacity:1;color:inherit}
button.right{border-color:var(--right);background:var(--right-ground)}
button.wrong{border-color:var(--wrong);background:var(--wrong-ground)}
button.right::after{content:"  \\2713";color:var(--right)}
button.wrong::after{content:"  \\2717";color:var(--wrong)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
summary{cursor:pointer;color:var(--accent);width:fit-content;border-radius:4px}
.answer{font-weight:600;margin:.7rem 0 .5rem}
blockquote{margin:0;padding:.1rem 0 .1rem .9rem;border-left:3px solid var(--line);color:var(--soft);font-size:.93rem;white-space:pre-line}
.from{color:var(--soft);font-size:.82rem;margin:.5rem 0 0}
.judge{display:none;gap:.5rem;margin-top:.8rem}
.scripted .judge{display:flex;flex-wrap:wrap}
html:not(.scripted) .pick button{pointer-events:none}
@media print{header{position:static}li{break-inside:avoid}}
"""
_SCRIPT = """
document.documentElement.classList.add("scripted");
const cards=[...document.querySelectorAll("li")],score=document.getElementById("score");
let right=0,done=0;
function tell(){score.textContent=done?`${right} of ${done} right, ${cards.length-done} to go`:`${cards.length} questions`}
function settle(card,won){if(card.dataset.done)return;card.dataset.done="1";done++;if(won)right++;tell()}
for(const card of cards){
  const picks=[...card.querySelectorAll(".pick button")],box=card.querySelector("details");
  const good=picks[Number(box.dataset.place)];
  const close=chosen=>{for(const pick of picks)pick.disabled=true;if(good)good.classList.add("right");
    if(chosen&&chosen!==good)chosen.classList.add("wrong")};
  for(const pick of picks)pick.addEventListener("click",()=>{settle(card,pick===good);close(pick);box.open=true});
  box.addEventListener("toggle",()=>{if(box.open&&picks.length&&!card.dataset.done){settle(card,false);close(null)}});
  const judges=[...card.querySelectorAll(".judge button")];
  judges.forEach((judge,place)=>judge.addEventListener("click",()=>{settle(card,place===0);
    judge.classList.add(place===0?"right":"wrong");for(const one of judges)one.disabled=true}));
}
tell();
"""
_KINDS = {"cloze": "Fill in", "definitions": "Definition", "questions": "Question", "flashcards": "Flashcard", "choices": "Choose one"}
_JUDGE = '<div class="judge"><button type="button">I knew it</button><button type="button">I did not</button></div>'


def quiz_page(items: Iterable[Item], title: str, language: str = "en") -> Iterator[str]:
    """The page in parts, to be written one after another as UTF-8."""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'; base-uri 'none'; form-action 'none'"
    )
    name = _escape(title)
    yield f'<!doctype html>\n<html lang="{_escape(language)}">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield f'<meta name="viewport" content="width=device-width,initial-scale=1">\n<title>{name}</title>\n<style>{_STYLE}</style>\n</head>\n'
    yield f'<body>\n<header><div><h1>{name}</h1><span id="score" role="status"></span></div></header>\n<main>\n<ol>\n'
    for number, one in enumerate(items, 1):
        yield _card(number, one)
    yield f"</ol>\n</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"


def _card(number: int, one: Item) -> str:
    where = ", ".join(part for part in (one.title, one.source, one.position) if part)
    buttons = "".join(f'<button type="button">{_escape(choice)}</button>' for choice in one.choices)
    picks = f'<div class="pick" role="group" aria-label="Choices">{buttons}</div>\n' if buttons else ""
    place = one.choices.index(one.answer) if one.answer in one.choices else -1
    return (
        f'<li>\n<p class="kind">{number} · {_KINDS.get(one.kind, "Question")}</p>\n<p class="ask">{_escape(one.question)}</p>\n{picks}'
        f'<details data-place="{place}"><summary>Show the answer</summary>\n<p class="answer">{_escape(one.answer)}</p>\n'
        f'<blockquote>{_escape(one.passage)}</blockquote>\n<p class="from">{_escape(where)}</p>{"" if buttons else _JUDGE}</details>\n</li>\n'
    )


def _escape(text: str) -> str:
    """Text that shows as itself between tags and in attributes; what HTML can't hold becomes U+FFFD."""
    return html.escape("".join(one if one.isprintable() or one in "\n\t" or one.isspace() else "\ufffd" for one in text))


def _hash(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()
