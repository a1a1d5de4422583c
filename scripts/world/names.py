"""Names: how they are compared, which ones give an answer away, and made-up ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from random import Random

SPELT = str.maketrans({"ı": "i", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ß": "ss",
                       "ə": "a", "Ə": "A", "’": "'", "‘": "'", "ʼ": "'", "ʻ": "'", "`": "'", "þ": "th", "ð": "d"})  # fmt: skip
# Marks of transliteration, which nobody writes in English: macron, breve, comma, dot and line below, horn, hook.
LEARNED = dict.fromkeys(map(ord, "\u0304\u0306\u0309\u0323\u0326\u0331\u031b\u0335"))
# What is a district or a building site, not a city that a sentence would call one.
NO_CITY = set(
    "airport area barangay barrio block borough camp cantonment centre center chak charter colony colonia commune "
    "comunidad county district division ejido estate estates fraccionamiento garden gardens hacienda heights industrial "
    "kampong kampung kecamatan khurd kalan ludhiana-area municipality nagar neighborhood parish phase plantation province "
    "qu region residencial satellite sector settlement subdistrict suburb taluk tehsil terrace town township unidad "
    "village villages villa-area ward zone chengguanzhen xian zhen shi prefecture stadtbezirk centro bezirk quarter "
    "arrondissement okrug mikrorayon rayon banlieue oblast station junction metropolitan urban".split()
)


def plain(text: str) -> str:
    """The letters and digits of a name, without case, marks and blanks: "São Paulo" and "Sao-Paulo" are the same."""
    marked = unicodedata.normalize("NFKD", text.translate(SPELT)).casefold()
    return "".join(sign for sign in marked if sign.isalnum())


def english(name: str, country: str) -> str:
    """A name as English texts spell it: European accents stay, learned ones go."""
    signs = unicodedata.normalize("NFD", name.translate(str.maketrans("‘’ʼʻ`", "'''''")))
    if country in ("VN", "IN", "JP", "PK", "IR", "BD", "TH", "MM", "SA", "YE", "IQ", "EG", "AF"):
        return "".join(s for s in signs.translate(SPELT) if not unicodedata.combining(s))
    return unicodedata.normalize("NFC", signs.translate(LEARNED) if country not in ("RO", "TR") else signs)


def readable(name: str) -> bool:
    """At most three words of Latin letters that can be the name of a city."""
    words = name.split()
    return (
        len(words) <= 3
        and 3 <= len(name) <= 26
        and bool(re.fullmatch(r"[A-ZÀ-ÞĀ-Ž][A-Za-zÀ-ÿĀ-ž' -]+", name))
        and not NO_CITY & set(re.split(r"[ -]", name.casefold()))
        and not re.search(r"-(gu|dong|eup|myeon|ku)$|'s$", name)
    )


def gives_away(name: str, answers: Iterable[str], letters: int = 5) -> bool:
    """Whether a name has an answer in it, or a word that begins like a word of an answer: "Tunis", "Mexicali"."""
    words = {plain(word) for word in re.split(r"[\W_]+", name)}
    for answer in answers:
        if len(plain(answer)) > 3 and plain(answer) in plain(name):
            return True
        starts = {plain(word)[:letters] for word in re.split(r"[\W_]+", answer) if len(plain(word)) >= letters}
        if any(word.startswith(start) for word in words for start in starts - SHARED):
            return True
    return False


SHARED = {"saint", "santo", "unite", "repub", "islan", "feder", "state", "south", "north", "north", "kingd", "democ",
          "peopl", "west", "weste", "centr", "virgin"}  # fmt: skip

ONSETS = "b br c ch d dr f g gr h j k kr l m n p pr qu r s sh sk st t th tr v w y z".split()
VOWELS = "a a a a e e e i i i o o o u u ai ou ia".split()
MIDDLES = "b d g k l ll lm ld m mb n nd ng nt p r rk rd rv rt s sh st sk t th tt v x z".split()
ENDINGS = {
    "cities": "ba bad bur by cala da dor ford fou gan go gorod ham hara ka lar li lin lo ma mar men na nor pa pur ra ren "
    "res rino ru sa shan stad ta tan to ton tsk va var vik ville wa yama zhen",
    "countries": "bia dor donia gal genia guay lia livia mania mar moros nesia nia nistan que rabia ria rica ronia rus "
    "sotho stan swana tania tina tonga tria tu via wi zania",
    "elements": "bium cium dium gen gium kium lium mium nium non num phur pium ric rium rogen sium tium vium xium zinium",
}  # fmt: skip
KNOWN_FROM_FICTION = {plain(name) for name in (
    "Wakanda Genovia Latveria Sokovia Freedonia Ruritania Zamunda Elbonia Borduria Syldavia Illyria Westeros Panem "
    "Oceania Eurasia Eastasia Narnia Gondor Rohan Mordor Asgard Atlantis Kazanistan vibranium adamantium unobtainium "
    "dilithium kryptonite mithril octarine trinium naquadah tiberium illudium carolinium coronium nebulium phlogiston "
    "tritium deuterium protium muonium positronium tribbium ionium Palmyra Qumar Krakozhia Molvania Bolivar Kundu "
    "dolium didymium columbium wolframium ilmenium pelopium norium davyum masrium florentium illinium virginium "
    "alabamine glucinium ausonium hesperium bohemium joliotium hahnium kurchatovium unnilquadium nipponium brevium"
).split()}  # fmt: skip


def pick(rng: Random, items: list[str]) -> str:
    """By `random()` alone, whose sequence Python promises to keep."""
    return items[int(rng.random() * len(items))]


def made_up(kind: str, count: int, real: set[str]) -> list[str]:
    """`count` names, no two alike, none of them in `real` (plain names) or a letter away from one of 5 letters or more."""
    rng = Random(f"world/{kind}/0")
    found: dict[str, str] = {}
    near = {shorter for name in real if len(name) > 4 for shorter in _shorter(name)} if kind != "cities" else set()
    while len(found) < count:
        name = pick(rng, ONSETS) + pick(rng, VOWELS) + pick(rng, MIDDLES)
        if rng.random() < 0.6:
            name += pick(rng, VOWELS) + (pick(rng, MIDDLES) if rng.random() < 0.25 else "")
        ending = pick(rng, ENDINGS[kind].split())
        if name[-1] not in "aeiou" and ending[0] not in "aeiou":
            name += pick(rng, list("aeiou"))
        name += ending
        if not 6 <= len(name) <= 12 or re.search(r"(..)\1|[aeiou]{3}", name) or {name, *_shorter(name)} & near:
            continue
        if name not in real | KNOWN_FROM_FICTION and name[:6] not in found:
            found[name[:6]] = name
    return sorted(found.values())


def _shorter(name: str) -> set[str]:
    return {name} | {name[:n] + name[n + 1 :] for n in range(len(name))}
