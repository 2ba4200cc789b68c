"""The harmony chat format of gpt-oss, from conversation to tokens and back."""

from harmony_py.errors import HarmonyError, VocabularyError
from harmony_py.tokenizer import Tokenizer

__all__ = ["HarmonyError", "Tokenizer", "VocabularyError"]
