"""Fused numba kernels for the CPU; importing one imports numba."""
