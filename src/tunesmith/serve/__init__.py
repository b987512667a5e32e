"""The gateway: HTTP in the shape of OpenAI's API in front of a tuned model."""
