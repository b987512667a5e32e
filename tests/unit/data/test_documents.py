"""Documents as passages: every word once and in order, sentences whole, each with where it stands."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.core.errors import DataError, TunesmithError
from tunesmith.data.documents.block import Block
from tunesmith.data.documents.passages import Passage, count_words, passages, sentences
from tunesmith.data.formats import BadLine, Record, reader
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.source import find


def read_all(folder: Path, name: str, data: bytes | str, **config: Any) -> list[Record]:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    family, source = find(str(path), 2**20, ReadConfig(**config))
    assert family == "document"
    items = list(reader(family)(source))
    assert not [item for item in items if isinstance(item, BadLine)]
    return [item for item in items if isinstance(item, Record)]


def words_of(count: int, name: str = "w") -> str:
    """Sentences of ten words."""
    return " ".join(f"{name.title()}{n}" if n % 10 == 0 else f"{name}{n}." if n % 10 == 9 else f"{name}{n}" for n in range(count))


MARKDOWN = f"""---
title: "The title"
secret: front matter
---
<!-- a comment
over lines -->
# One

{words_of(30)}

## Two ##

```python
# no heading
x = 1

y = 2
```

| a | b |
|---|---|
| 1 | 2 |

Three
=====
{words_of(40, "v")}
"""


def test_markdown(tmp_path: Path) -> None:
    found = read_all(tmp_path, "a.md", MARKDOWN, passage_words=40)
    text = "\n".join(record.values["text"] for record in found)
    assert "front matter" not in text and "comment" not in text
    assert "# no heading\nx = 1\n\ny = 2" in text and "| a | b |\n|---|---|\n| 1 | 2 |" in text
    assert [record.values["position"] for record in found] == ["One", "One > Two", "Three"]
    assert [record.number for record in found] == [7, 11, 24]
    assert {record.values["title"] for record in found} == {"The title"} and {record.values["source"] for record in found} == {"a.md"}


def test_a_rule_on_the_first_line_is_no_front_matter(tmp_path: Path) -> None:
    (record,) = read_all(tmp_path, "a.md", "---\n\nfirst\n\nsecond\n")
    assert record.values["text"].split() == ["---", "first", "second"]


def test_html(tmp_path: Path) -> None:
    page = """<!DOCTYPE html><html><head><title>T &amp; U</title><style>no{}</style></head><body><nav>no</nav><h1>One<br>line</h1><p>Some <b>bold</b>
      text &eacute;&#8217;s.<script>no()</script></p><ul><li>first<li>second</ul><table><tr><th>a</th><th>b</th></tr><tr><td>1<td><p>2</p></table>
      <pre>x = 1
  y</pre><footer>no</footer></body></html>"""
    (record,) = read_all(tmp_path, "a.html", page)
    expected = "One\nline\n\nSome bold text é’s.\n\n- first\n\n- second\n\na | b\n1 | 2\n\nx = 1\n  y"
    assert record.values == {"text": expected, "source": "a.html", "position": "One line", "title": "T & U"}


@pytest.mark.parametrize(
    "data",
    [b"<p>caf\xe9</p>", b'<meta charset="iso-8859-15"><p>caf\xe9</p>', "<p>café</p>".encode("utf-16"), b"\xef\xbb\xbf<p>caf\xc3\xa9</p>"],
)
def test_html_in_other_encodings(tmp_path: Path, data: bytes) -> None:
    assert read_all(tmp_path, "a.html", data)[0].values["text"] == "café"


def test_a_page_that_is_nested_without_end_is_one_sentence_or_read(tmp_path: Path) -> None:
    try:
        (record,) = read_all(tmp_path, "a.html", "<p>first</p>" + "<div><b>" * 50_000 + "deep")
    except DataError as error:
        assert "can't be read as HTML" in str(error)
    else:
        assert record.values["text"].split() == ["first", "deep"]


def docx(body: str, **parts: str) -> bytes:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    styles = f'<w:styles {space}><w:style w:styleId="X1"><w:name w:val="heading 1"/></w:style></w:styles>'
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"<w:document {space}><w:body>{body}</w:body></w:document>")
        archive.writestr("word/styles.xml", styles)
        for name, text in parts.items():
            archive.writestr(name, text)
    return held.getvalue()


def paragraph(text: str, style: str = "") -> str:
    return f"<w:p>{f'<w:pPr><w:pStyle w:val={style!r}/></w:pPr>' if style else ''}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_word(tmp_path: Path) -> None:
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("a", "b"))
    body = (
        paragraph("Head", "X1")
        + "<w:p><w:r><w:t>One</w:t><w:tab/><w:t>two.</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
        + f"<w:tbl><w:tr>{cells}</w:tr><w:tr>{cells}</w:tr></w:tbl>"
        + "<mc:AlternateContent><mc:Fallback>" + paragraph("twice") + "</mc:Fallback></mc:AlternateContent>"
        + "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>item</w:t></w:r></w:p>"
    )  # fmt: skip
    (record,) = read_all(tmp_path, "a.docx", docx(body))
    assert record.values == {"text": "Head\n\nOne\ttwo.\n\na | b\na | b\n\n- item", "source": "a.docx", "position": "Head", "title": "Head"}


def test_word_with_entities_or_a_bomb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="defines entities"):
        read_all(tmp_path, "a.docx", docx(paragraph("x"), **{"word/header.xml": "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"}))
    with pytest.raises(DataError, match="as a zip bomb does"):
        read_all(tmp_path, "a.docx", docx(paragraph("x" * 2**20 * 90)))


def pdf(pages: list[list[str]], tail: bytes = b"") -> bytes:
    """A PDF that shows lines of text."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for lines in pages:
        shown = b" 0 -14 Td ".join(b"(" + line.encode("latin-1") + b") Tj" for line in lines)
        stream = b"BT /F1 12 Tf 72 700 Td " + shown + b" ET"
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
        kids.append(len(objects) + 1)
        objects.append(b"<</Type/Page/Parent 2 0 R/Contents %d 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>>>" % len(objects))
    objects[1] = b"<</Type/Pages/Kids[" + b" ".join(b"%d 0 R" % kid for kid in kids) + b"]/Count %d>>" % len(kids)
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n" % size
        + table
        + b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (size, tail, len(out))
    )


def test_pdf_lines_become_paragraphs_and_running_heads_go(tmp_path: Path) -> None:
    body = ["ded here and goes on over to the", "end.", "The next paragraph begins, and it ends on"]
    first = "{} long first line of the paragraph, which is divi-"
    pages = [["Running head 2026", first.format("ABCDE"[n - 1]), *body, f"the page of {'abcde'[n - 1]}.", f"{n}"] for n in range(1, 6)]
    found = read_all(tmp_path, "a.pdf", pdf(pages), passage_words=20)
    text = "\n\n".join(record.values["text"] for record in found)
    assert "Running" not in text and "divided here and goes on over to the end.\n\nThe next" in text
    assert [record.values["position"] for record in found] == [f"page {n}" for n in range(1, 6) for _ in (0, 1)]
    assert "page of e." in text


def test_pdfs_without_text_locked_or_cut(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no text.*OCR"):
        read_all(tmp_path, "scan.pdf", pdf([[]]))
    locked = b"/Encrypt<</Filter/Standard/V 1/R 2/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">/P -4>>/ID[<41><41>]"
    with pytest.raises(DataError, match="locked with a password"):
        read_all(tmp_path, "locked.pdf", pdf([["secret"]], locked))
    with pytest.raises(TunesmithError, match=r"cut short or damaged|no text"):
        read_all(tmp_path, "cut.pdf", pdf([["a text"]])[:60])


def test_a_txt_is_a_document_only_where_the_recipe_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n\nthree")
    assert find(str(tmp_path / "a.txt"), 2**20)[0] == "txt"
    (record,) = read_all(tmp_path, "a.txt", "one\ntwo\n\nthree", documents=True)
    assert record.values == {"text": "one\ntwo\n\nthree", "source": "a.txt", "position": "line 1", "title": "a"}


PIECES = st.lists(
    st.tuples(st.sampled_from([None, None, None, 1, 2]), st.integers(1, 120), st.booleans()).map(
        lambda drawn: Block(words_of(6 if drawn[0] else drawn[1]), 1, drawn[0], drawn[2] and not drawn[0])
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(PIECES, st.integers(20, 90))
def test_every_word_is_in_one_passage_in_order_and_none_is_too_long(blocks: list[Block], most: int) -> None:
    found = [one for one in passages(blocks, most) if isinstance(one, Passage)]
    assert " ".join(one.text for one in found).split() == " ".join(block.text for block in blocks).split()
    headings = [block for block in blocks if block.level]
    assert all(count_words(one.text) <= most + 6 * (len(headings) + 1) for one in found)
    assert all(one.text.strip() for one in found)


def test_passages_end_with_whole_sentences() -> None:
    found = [one.text for one in passages([Block(words_of(300), 1)], 45) if isinstance(one, Passage)]
    assert len(found) == 8 and all(text.endswith(".") and count_words(text) <= 45 for text in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Who came. He left.", ["Dr. Who came. ", "He left."]),
        ("Is it? “Yes!” It is.", ["Is it? ", "“Yes!” ", "It is."]),
        ("See e.g. Smith et al. Then go on.", ["See e.g. Smith et al. Then go on."]),
        ("これは文。次の文。", ["これは文。", "次の文。"]),
        ("version 3.5 is out", ["version 3.5 is out"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


@given(st.text(max_size=300))
def test_sentences_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_text_without_spaces_is_cut_by_length() -> None:
    found = [one.text for one in passages([Block("字" * 5000, 1)], 50) if isinstance(one, Passage)]
    assert max(map(len, found)) <= 600 and sum(map(len, found)) == 5000
    assert re.fullmatch("字+", found[0])
