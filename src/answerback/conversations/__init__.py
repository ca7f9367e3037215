"""What a conversation remembers: its items, the window that is sent, showing and erasing both."""
