"""The `data.normalise` section of a recipe."""

from typing import Literal

from tunesmith.section import Section


class NormaliseConfig(Section):
    """How text is cleaned before anything compares it. What is inside ``` fences is only ever mended and composed."""

    fix_encoding: bool = True
    """Repair text that was decoded wrongly, with ftfy ('cafÃ©' becomes 'café'); can change code samples."""
    control_characters: bool = True
    """Remove characters that print nothing, except tab and line break."""
    html: bool = True
    """Turn entities (`&amp;`, `&#39;`) into characters and take tags (`<br>`, `<p>`) and comments out, where they are remains: code, and rows about HTML, stay."""
    unicode_form: Literal["NFC", "NFKC", "none"] = "NFC"
    """One spelling for one letter. NFKC also makes one of full-width letters, ligatures and the like, which loses how it was written."""
    white_space: bool = True
    """Strip ends, and outside code blocks turn runs of spaces into one; indentation and line breaks stay, at most two in a row."""
