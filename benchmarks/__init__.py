"""Measurements of speed and memory; nothing in the library imports them."""
