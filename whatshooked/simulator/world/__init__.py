"""One simulated Meta: its state, clock, switches and ids."""
