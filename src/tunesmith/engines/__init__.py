"""What answers prompts: the Engine protocol, and the client of any OpenAI-compatible URL with its memory on disk."""
