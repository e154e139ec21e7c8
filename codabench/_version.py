"""The version of this library, read by the build and by ``codabench.__version__``."""

__version__ = "0.1.0.dev0"
