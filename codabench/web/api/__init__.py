"""The REST API of Codabench (platform.md section 3)."""
