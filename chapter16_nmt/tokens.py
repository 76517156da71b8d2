"""How sentences are tokenized, and tokens joined to sentences again.

A `Tokenization` says how one side of a corpus was tokenized. prepare.py writes it beside the files,
so that translate.py tokenizes and joins a stranger's sentences in the same way.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import sentencepiece
from sacremoses import MosesDetokenizer, MosesTokenizer
from sacremoses.corpus import NonbreakingPrefixes

from common.errors import UserError
from common.words import segment

LEVELS = ("space", "moses", "char", "jieba")
UNSPACED = {"zh", "cn", "cmn", "yue", "ja", "jp", "th", "lo", "km", "my"}  # no spaces between words
WORD_START = "▁"  # begins the pieces that begin a word, as SentencePiece has it
SPACE = "␣"  # a token: a space that `join` would not write
LATIN = "A-Za-z0-9À-ɏḀ-ỿ"  # letters and digits, of which a run is one token
CHARACTERS = re.compile(rf"[{LATIN}]+|\S")
LONGEST = 500  # characters of a token; a longer one is cut

# Entities that Moses' tokenizer writes, and the space of web pages; & is the last.
ENTITIES = {"&nbsp;": " ", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#39;": "'",
            "&#91;": "[", "&#93;": "]", "&#124;": "|", "&amp;": "&"}
# Patterns and what replaces them, in the syntax that Python and TensorFlow share.
MARK_SPACES = ((f"([^{LATIN}]) ", rf"\1 {SPACE} "),  # all spaces, but between two Latin words
               (f"([{LATIN}]) ([^{LATIN}{SPACE} ])", rf"\1 {SPACE} \2"))
DROP_SPACES = ((f"([^{LATIN}]) ", r"\1"), (f" ([^{LATIN}])", r"\1"), (SPACE, " "))
# "do n't" of the Penn Treebank is "don 't" in Moses' form.
TREEBANK = re.compile(r"(\w) n('t)\b")


class Tokenization(NamedTuple):
    """How sentences of one language are tokenized.

    Attributes:
        language: of two letters, for Moses' rules.
        level: "": lines are tokens between spaces, and stay as they are; the others clean their
            text: "space": tokens between spaces; "moses": by Moses' rules; "char": Latin words,
            single characters of other scripts, and `SPACE`; "jieba": Chinese words, and `SPACE`.
        lowercase: whether the text is lowercased.
        subwords: a model of SentencePiece that splits the tokens further; "" for none.
        delimiter: ends the parts of words that words were split into, such as @@; "" for none.
    """

    language: str
    level: str = ""
    lowercase: bool = False
    subwords: str = ""
    delimiter: str = ""


@cache
def moses(language: str) -> tuple[MosesTokenizer, MosesDetokenizer]:
    """Returns Moses' tokenizer and detokenizer of a language."""
    return MosesTokenizer(lang=language), MosesDetokenizer(lang=language)


def languages_of_moses() -> set[str]:
    """Returns the languages that Moses has rules for; Chinese has no spaces to go by."""
    return set(NonbreakingPrefixes().available_langs.values()) - UNSPACED


def main_language(language: str) -> str:
    """Returns a language without region or script: zh of zh-CN."""
    return re.split("[-_]", language.lower())[0]


def default_level(language: str) -> str:
    """Returns the level of raw text in a language: characters, Moses' rules, or else spaces."""
    if main_language(language) in UNSPACED:
        return "char"
    return "moses" if language in languages_of_moses() else "space"


def check_language(how: Tokenization) -> None:
    """Raises UserError if Moses has no rules for a language, where it would take English ones."""
    known = languages_of_moses()
    if how.level == "moses" and how.language not in known:
        raise UserError(f"Moses' tokenizer has no rules for the language {how.language}",
                        "use the level space, char or jieba for it; the suffixes of files with "
                        f"rules are {' '.join(sorted(known))}")


@cache
def load_subwords(path: str) -> sentencepiece.SentencePieceProcessor:
    """Loads a model of SentencePiece.

    Raises:
        UserError: the file is missing or is none.
    """
    try:
        return sentencepiece.SentencePieceProcessor(model_file=path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path} is no model of SentencePiece", "prepare the data again, and move "
                        "its folder as a whole") from error


def clean(text: str, lowercase: bool = False) -> str:
    """Brings text to one form: no entities (&quot;), composed letters, Moses' contractions."""
    for entity, character in [*ENTITIES.items()] * 2:  # &amp;quot; was escaped twice
        text = text.replace(entity, character)
    text = " ".join(unicodedata.normalize("NFC", text).split())
    text = TREEBANK.sub(r"\1n \2", text)
    return text.lower() if lowercase else text


def replace_all(text: str, rules: Sequence[tuple[str, str]]) -> str:
    """Replaces patterns, one after the other."""
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def tokenize(text: str, how: Tokenization) -> list[str]:
    """Tokenizes a sentence.

    Raises:
        UserError: its model of sub-words cannot be read.
    """
    if not how.level:
        return text.split()
    text = clean(text, how.lowercase)
    match how.level:
        case "moses":
            tokens = moses(how.language)[0].tokenize(text, escape=False)
        case "char":
            tokens = CHARACTERS.findall(replace_all(text, MARK_SPACES))
        case "jieba":
            tokens = segment([replace_all(text, MARK_SPACES)], "zh", "word")[0].split()
        case _:
            tokens = text.split()
    tokens = [token[:LONGEST] for token in tokens]
    if how.subwords:
        return load_subwords(how.subwords).encode(" ".join(tokens), out_type=str)
    return tokens


def whole_tokens(tokens: Sequence[str], how: Tokenization) -> list[str]:
    """Returns tokens whose sub-words are joined again."""
    if how.subwords:
        return "".join(tokens).replace(WORD_START, " ").split()
    if how.delimiter:
        return " ".join(tokens).replace(f"{how.delimiter} ", "").removesuffix(
            how.delimiter).split()
    return list(tokens)


def join_parts(tokens: Sequence[str], how: Tokenization) -> list[str]:
    """Returns what scores compare: whole tokens, without `SPACE`."""
    return [token for token in whole_tokens(tokens, how) if token != SPACE]


def join(tokens: Sequence[str], how: Tokenization) -> str:
    """Returns the sentence of tokens."""
    tokens = whole_tokens(tokens, how)
    if how.level == "moses":
        return moses(how.language)[1].detokenize(tokens)
    text = " ".join(tokens)
    return replace_all(text, DROP_SPACES).strip() if how.level in ("char", "jieba") else text


def learn_subwords(sentences: Sequence[Sequence[str]], size: int, path: Path) -> None:
    """Learns sub-words by byte-pair encoding, with SentencePiece.

    Args:
        sentences: tokens of the training sentences.
        size: of the vocabulary.
        path: of the model, `NAME.model`.

    Raises:
        UserError: the sentences have too few different words.
    """
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(" ".join(tokens) for tokens in sentences),
            model_prefix=str(path.with_suffix("")), vocab_size=size, model_type="bpe",
            normalization_rule_name="identity",  # "clean" has normalized; NFKC would write , for ，
            character_coverage=1.0, bos_id=-1, eos_id=-1, minloglevel=2)
    except RuntimeError as error:
        raise UserError(f"cannot learn {size} sub-words: {error}",
                        "lower --subwords, or give more sentences") from error
