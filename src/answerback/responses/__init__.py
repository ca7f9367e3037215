"""OpenAI's responses, of any chat model."""
