"""Enhancing speech: streams, files, folders and arrays."""
