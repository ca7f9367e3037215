"""What a conversation remembers, and who may see and erase it."""
