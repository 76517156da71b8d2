"""How sentences are tokenized, and tokens joined to sentences again.

A `Tokenization` says how one side of a corpus was tokenized. prepare.py writes it beside the files,
so that translate.py tokenizes and joins a stranger's sentences in the same way.
"""

import html
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
WORD_START = "▁"  # begins the pieces that begin a word, as SentencePiece has it
# A character token: a run of Latin letters or digits, or one character of another script.
CHARACTERS = re.compile(r"[A-Za-z0-9À-ɏ]+|\S")
LATIN = re.compile(r"[A-Za-z0-9À-ɏ]")
# "do n't" of the Penn Treebank is "don 't" in Moses' form.
TREEBANK = re.compile(r"(?<=\w) n(?='t\b)")
LONGEST = 500  # characters of a token; a longer one is cut


class Tokenization(NamedTuple):
    """How sentences of one language are tokenized.

    Attributes:
        language: of two letters, for Moses' rules.
        level: "": lines are tokens between spaces, and stay as they are; the others clean their
            text: "space": tokens between spaces; "moses": by Moses' rules; "char": Latin words,
            and single characters of other scripts; "jieba": Chinese words.
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


def check_language(how: Tokenization) -> None:
    """Raises UserError if Moses has no rules for a language; it would silently take English ones.

    Chinese has none either: there are no spaces between its words.
    """
    known = set(NonbreakingPrefixes().available_langs.values()) - {"zh", "yue"}
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


def clean(text: str) -> str:
    """Brings text to one form: no entities (&quot;), composed letters, Moses' contractions."""
    text = unicodedata.normalize("NFC", html.unescape(html.unescape(text)))
    return TREEBANK.sub("n ", " ".join(text.split()))


def tokenize(text: str, how: Tokenization) -> list[str]:
    """Tokenizes a sentence.

    Raises:
        UserError: its model of sub-words cannot be read.
    """
    if not how.level:
        return text.split()
    text = clean(text)
    if how.lowercase:
        text = text.lower()
    match how.level:
        case "moses":
            tokens = moses(how.language)[0].tokenize(text, escape=False)
        case "char":
            tokens = CHARACTERS.findall(text)
        case "jieba":
            tokens = segment([text], "zh", "word")[0].split()
        case _:
            tokens = text.split()
    if how.subwords:
        return load_subwords(how.subwords).encode(" ".join(tokens), out_type=str)
    return [token[:LONGEST] for token in tokens]


def join_parts(tokens: Sequence[str], how: Tokenization) -> list[str]:
    """Returns tokens whose sub-words are joined again."""
    if how.subwords:
        return "".join(tokens).replace(WORD_START, " ").split()
    if how.delimiter:
        return " ".join(tokens).replace(f"{how.delimiter} ", "").removesuffix(
            how.delimiter).split()
    return list(tokens)


def join(tokens: Sequence[str], how: Tokenization) -> str:
    """Returns the sentence of tokens."""
    tokens = join_parts(tokens, how)
    if how.level == "moses":
        return moses(how.language)[1].detokenize(tokens)
    if how.level in ("char", "jieba"):
        # No spaces, but between two Latin words.
        text = ""
        for token in tokens:
            both = text and LATIN.match(text[-1]) and LATIN.match(token)
            text += f" {token}" if both else token
        return text
    return " ".join(tokens)


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
            character_coverage=1.0, bos_id=-1, eos_id=-1, minloglevel=2)
    except RuntimeError as error:
        raise UserError(f"cannot learn {size} sub-words: {error}",
                        "lower --subwords, or give more sentences") from error
