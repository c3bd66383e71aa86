"""LETOR / SVMlight files: features and grades of documents."""

from ultr.letor.read import Letor, read_letor, read_letor_files
from ultr.letor.svmlight import MAX_GRADE

__all__ = ["MAX_GRADE", "Letor", "read_letor", "read_letor_files"]
