"""LETOR / SVMlight files and ULTRA folders: features and grades of documents."""

from ultr.letor.read import Letor, read_letor, read_letor_files
from ultr.letor.svmlight import MAX_GRADE
from ultr.letor.ultra import read_ultra

__all__ = ["MAX_GRADE", "Letor", "read_letor", "read_letor_files", "read_ultra"]
