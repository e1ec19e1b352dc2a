"""Audio files in and out, sample rates, and the short-time Fourier transform."""
