"""The console: pages that show what happened to messages, made of the public routes only."""
