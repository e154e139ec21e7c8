"""Bytes: trees of files read safely from anywhere, and what is stored of them."""
