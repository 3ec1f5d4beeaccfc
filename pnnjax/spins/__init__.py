"""Coupled spins: Hopfield networks and Ising machines."""
