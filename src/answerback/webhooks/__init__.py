"""Callbacks on the wire: which addresses may be called, how one attempt is made, how each origin is paced."""
