"""The sample rates that files may have. Imports nothing."""

LOWEST_RATE_HZ = 1
HIGHEST_RATE_HZ = 768_000
