"""LLMs behind `ports.Provider`: any that speaks OpenAI's protocol, and a mock."""
