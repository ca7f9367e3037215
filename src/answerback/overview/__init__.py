"""What goes on at a glance: how much waits, how jobs ended lately, whether the LLM answers."""
