"""Items: what inputs and answers consist of, and messages of chat completions in their place."""
