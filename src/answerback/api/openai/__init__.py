"""The doors for OpenAI's clients: the official SDKs work with nothing but `base_url` changed."""
