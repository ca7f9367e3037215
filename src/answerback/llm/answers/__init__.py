"""What upstreams answer, whole or streamed: read truthfully, and completed so that OpenAI's clients can read it."""
