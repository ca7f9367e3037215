"""What the relay knows: frozen values and pure arithmetic, standard library only."""
