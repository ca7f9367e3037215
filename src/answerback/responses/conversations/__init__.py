"""OpenAI's conversations: what responses go on from and add to."""
