"""Fused kernels: numba for the CPU, Triton for GPUs; importing one imports what compiles it."""

CHUNK = 32  # steps of a scan from one state that is kept for the backward pass to the next
