"""What may pass: rules that find unwanted parts of a text, and a filter that lets nothing of them out, also while the text is still made."""
