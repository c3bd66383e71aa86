"""LETOR / SVMlight files: features and grades of documents."""

from ultr.letor.read import Letor, read_letor, read_letor_files

__all__ = ["Letor", "read_letor", "read_letor_files"]
