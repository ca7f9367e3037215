"""Files reviewed by an LLM that answers by webhook, or by a chat model that reads them."""
