"""What the relay does: accept, ask, deliver, keep. Speaks to the world through `answerback.ports` only."""
